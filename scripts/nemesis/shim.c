/* What a disk and a clock may do to a process, switched on and off while it runs.
 *
 * Loaded with LD_PRELOAD.  $NEMESIS_CONTROL is a file of four 64-bit integers, shared:
 *
 *   [0] the next so many fsync and fdatasync fail with EIO
 *   [1] microseconds that each of them takes longer
 *   [2] 1: pwrite fails with ENOSPC
 *   [3] milliseconds to add to CLOCK_REALTIME
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t nothing[4];
static volatile int64_t *control = nothing;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("NEMESIS_CONTROL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *shared = mmap(0, sizeof nothing, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED) control = shared;
}

static int sync_fault(void) {
    if (control[1] > 0) usleep((useconds_t)control[1]);
    if (control[0] <= 0) return 0;
    __atomic_fetch_sub((int64_t *)&control[0], 1, __ATOMIC_SEQ_CST);
    errno = EIO;
    return -1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) {
    return sync_fault() ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd) {
    return sync_fault() ? -1 : NEXT(fdatasync)(fd);
}

static int full(void) {
    if (control[2]) errno = ENOSPC;
    return control[2] != 0;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return full() ? -1 : NEXT(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return full() ? -1 : NEXT(pwrite64)(fd, data, size, at);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = NEXT(clock_gettime)(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && control[3]) {
        int64_t ns = now->tv_nsec + control[3] % 1000 * 1000000;
        now->tv_sec += control[3] / 1000;
        if (ns < 0) ns += 1000000000, now->tv_sec--;
        if (ns >= 1000000000) ns -= 1000000000, now->tv_sec++;
        now->tv_nsec = ns;
    }
    return result;
}
