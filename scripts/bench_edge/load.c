/* A load generator for servers that speak HTTP/1.1 and WebSocket: one thread, one epoll.

     load MODE -o port [-c connections] [-s payload bytes] [-d seconds] [-w warm-up seconds]
               [-n source addresses] [-i handshakes at once] [-H request head file] [-t]
               [-P greetings file -W word]

     mode        what each connection does                              what is timed
     idle        connects, answers pings until standard input ends      -
     echo        sends a message when its last one came back            message to echo
     broadcast   the first sends one that begins with B; when all       the round
                 have it, the next
     http        sends a GET when the last was answered                 request to last byte

   Messages are binary, with -t text.  With -P each connection begins with the messages, between
   tabs, of a line of its own, and counts as connected when the word has come.  On standard output, a line of JSON each: "ready" (how many connected, and how fast), "begin" and
   "end" around what is measured, "end" with the figures.  Latencies go into buckets a 64th of a
   power of two wide.

   Source: RFC 6455, section 5.2; RFC 9112. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum mode { IDLE, ECHO, BROADCAST, HTTP };
enum state { CONNECTING, UPGRADING, GREETING, OPEN, DEAD };
enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, HEAD_MAX = 2048, FRAME_MAX = 1 << 17 };

struct connection {
  int fd;
  enum state state;
  char head[HEAD_MAX]; /* of an HTTP answer, while it is incomplete */
  int head_bytes;
  unsigned char frame_head[10], control[125];
  int frame_head_bytes, control_bytes;
  int word_bytes; /* of the awaited word, heard so far */
  long left; /* of the frame's payload, or of the answer's body; -1 between two */
  uint64_t sent_at;
};

static enum mode mode;
static int connections = 100, payload = 64, sources = 1, at_once = 100, opcode = BINARY, port;
static double seconds = 3, warm_up = 1;
static const char *request = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
static const char *upgrade =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static char **greetings; /* one a connection; NULL: none */
static const char *word = "";

static struct connection *all;
static int poller, started, opened, failed, dead, shaking;
static unsigned char message[FRAME_MAX], input[1 << 18];
static int message_bytes;
static int measuring, stopping;
static uint64_t answers, pings, round_began;
static int round_left;
static uint64_t buckets[4096], timed;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* -- latencies */

static int bucket_of(uint64_t ns) {
  uint64_t value = ns >> 6;
  if (value < 64) return (int)value;
  int power = 63 - __builtin_clzll(value);
  int bucket = (power - 5) * 64 + (int)(value >> (power - 6) & 63);
  return bucket < 4095 ? bucket : 4095;
}

static double microseconds(int bucket) {
  if (bucket < 64) return (bucket + 0.5) * 64 / 1e3;
  return (64 + bucket % 64 + 0.5) * (double)(1ull << (bucket / 64 - 1)) * 64 / 1e3;
}

static void take(uint64_t began) {
  if (!measuring) return;
  buckets[bucket_of(now() - began)]++;
  timed++;
}

static double percentile(double share) {
  uint64_t target = (uint64_t)(timed * share), passed = 0;
  for (int i = 0; i < 4096; i++)
    if ((passed += buckets[i]) > target) return microseconds(i);
  return 0;
}

/* -- one connection */

static void lose(struct connection *c) {
  if (c->state == DEAD) return;
  if (c->state == OPEN) {
    opened--;
    if (round_left) round_left--;
  } else {
    shaking--;
    failed++;
  }
  c->state = DEAD;
  dead++;
  close(c->fd);
}

/* What is sent is small and answered before more is sent, so a full socket is an error. */
static void say(struct connection *c, const void *bytes, int size) {
  if (send(c->fd, bytes, size, MSG_NOSIGNAL) != size) lose(c);
}

/* Write a client's frame, masked with a key that is always the same; return its size. */
static int frame(unsigned char *out, int kind, const unsigned char *data, int size) {
  int n = 0;
  out[n++] = 0x80 | kind;
  if (size < 126) out[n++] = 0x80 | size;
  else {
    out[n++] = 0x80 | 126;
    out[n++] = size >> 8;
    out[n++] = size & 255;
  }
  static const unsigned char key[4] = {0x5a, 0xc3, 0x96, 0x3c};
  memcpy(out + n, key, 4);
  for (int i = 0; i < size; i++) out[n + 4 + i] = data[i] ^ key[i & 3];
  return n + 4 + size;
}

static void ask(struct connection *c) {
  c->sent_at = now();
  if (mode == HTTP) say(c, request, (int)strlen(request));
  else say(c, message, message_bytes);
}

static void begin_round(void) {
  round_began = now();
  round_left = opened;
  for (int i = 0; i < connections; i++)
    if (all[i].state == OPEN) {
      say(&all[i], message, message_bytes);
      return;
    }
}

static void answered(struct connection *c) {
  if (measuring) answers++;
  if (mode == ECHO || mode == HTTP) {
    take(c->sent_at);
    if (!stopping) ask(c);
  } else if (mode == BROADCAST && round_left && !--round_left) {
    take(round_began);
    if (!stopping) begin_round();
  }
}

static void control(struct connection *c, int kind) {
  unsigned char out[140];
  if (kind == PING) {
    pings++;
    say(c, out, frame(out, PONG, c->control, c->control_bytes));
  } else if (kind == CLOSE) lose(c);
}

static void read_frames(struct connection *c, unsigned char *p, long n) {
  while (n > 0 && c->state != DEAD) {
    if (c->left < 0) { /* in a frame's head */
      unsigned char *head = c->frame_head;
      head[c->frame_head_bytes++] = *p++, n--;
      long length = c->frame_head_bytes < 2 ? 0 : head[1] & 127;
      int want = length == 126 ? 4 : length == 127 ? 10 : 2;
      if (c->frame_head_bytes < want) continue;
      if (want > 2) length = 0;
      for (int i = 2; i < want; i++) length = length << 8 | head[i];
      c->left = length;
      c->control_bytes = 0;
    }
    int kind = c->frame_head[0] & 15;
    long step = c->left < n ? c->left : n;
    if (kind >= CLOSE) {
      memcpy(c->control + c->control_bytes, p, step);
      c->control_bytes += step;
    }
    p += step, n -= step, c->left -= step;
    if (c->left) continue;
    c->left = -1;
    c->frame_head_bytes = 0;
    if (kind >= CLOSE) control(c, kind);
    else if (c->frame_head[0] & 0x80) answered(c);
  }
}

/* Take bytes of an answer's head; return how many, and set `left` once it is whole. */
static long read_head(struct connection *c, const unsigned char *p, long n) {
  for (long i = 0; i < n; i++) {
    if (c->head_bytes == HEAD_MAX - 1) return lose(c), n;
    c->head[c->head_bytes++] = p[i];
    if (p[i] != '\n' || c->head_bytes < 4 || memcmp(c->head + c->head_bytes - 4, "\r\n\r\n", 4))
      continue;
    c->head[c->head_bytes] = 0;
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->left = length ? atol(length + 17) : 0;
    return i + 1;
  }
  return n;
}

static void read_answers(struct connection *c, const unsigned char *p, long n) {
  while (n > 0 && c->state == OPEN) {
    if (c->left < 0) {
      long used = read_head(c, p, n);
      p += used, n -= used;
      if (c->left < 0) return;
      if (memcmp(c->head, "HTTP/1.1 200", 12)) return lose(c);
    }
    long step = c->left < n ? c->left : n;
    p += step, n -= step, c->left -= step;
    if (c->left) continue;
    c->left = -1;
    c->head_bytes = 0;
    answered(c);
  }
}

static void open_up(struct connection *c) {
  c->state = OPEN;
  opened++;
  shaking--;
}

static void greet(struct connection *c) {
  static unsigned char out[FRAME_MAX];
  int size = 0;
  for (char *at = greetings[c - all], *end; at; at = end) {
    if ((end = strchr(at, '\t'))) *end++ = 0;
    size += frame(out + size, TEXT, (unsigned char *)at, (int)strlen(at));
  }
  c->state = GREETING;
  say(c, out, size);
}

/* No letter of the word may be its first one again. */
static void await_word(struct connection *c, const unsigned char *p, long n) {
  for (long i = 0; i < n && word[c->word_bytes]; i++)
    if (p[i] == word[c->word_bytes]) c->word_bytes++;
    else c->word_bytes = p[i] == word[0];
  if (!word[c->word_bytes]) open_up(c);
}

static void received(struct connection *c, unsigned char *p, long n) {
  if (c->state == UPGRADING) {
    long used = read_head(c, p, n);
    if (c->left < 0) return;
    if (memcmp(c->head, "HTTP/1.1 101", 12)) return lose(c);
    c->left = -1;
    p += used, n -= used;
    if (greetings) greet(c);
    else open_up(c);
  }
  if (c->state == GREETING) await_word(c, p, n);
  if (mode == HTTP) read_answers(c, p, n);
  else read_frames(c, p, n);
}

static void ready(struct connection *c, uint32_t events) {
  if (c->state == DEAD) return;
  if (c->state == CONNECTING) {
    if (events & (EPOLLERR | EPOLLHUP)) return lose(c);
    struct epoll_event interest = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &interest);
    c->left = -1;
    if (mode == HTTP) return open_up(c);
    c->state = UPGRADING;
    say(c, upgrade, (int)strlen(upgrade));
    return;
  }
  ssize_t n = recv(c->fd, input, sizeof input, 0);
  if (n > 0) received(c, input, n);
  else if (n == 0 || errno != EAGAIN) lose(c);
}

static void start(struct connection *c) {
  int one = 1;
  struct linger reset = {1, 0}; /* leaves no TIME_WAIT behind */
  struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) {
    perror("socket");
    exit(1);
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  setsockopt(c->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  from.sin_addr.s_addr = htonl(0x7f000201 + (c - all) % sources); /* 127.0.2.1 and on */
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  started++;
  shaking++;
  if (bind(c->fd, (void *)&from, sizeof from)) return lose(c);
  if (connect(c->fd, (void *)&to, sizeof to) && errno != EINPROGRESS) return lose(c);
  struct epoll_event interest = {.events = EPOLLOUT, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &interest);
}

/* -- the run */

static void turn(int patience_ms) {
  static struct epoll_event events[1024];
  int n = epoll_wait(poller, events, 1024, patience_ms);
  for (int i = 0; i < n; i++) ready(events[i].data.ptr, events[i].events);
}

static void turn_until(uint64_t end) {
  while (now() < end) turn(5);
}

static void connect_all(void) {
  uint64_t began = now(), progress_at = began;
  for (int last = 0; opened + dead < connections && now() < progress_at + 60000000000ull;) {
    while (started < connections && shaking < at_once) start(&all[started]);
    turn(100);
    if (opened + dead != last) last = opened + dead, progress_at = now();
  }
  double took = (now() - began) / 1e9;
  printf("{\"event\":\"ready\",\"open\":%d,\"failed\":%d,\"per_s\":%.1f}\n", opened,
         connections - opened, opened / took);
}

static void hold(void) {
  for (struct pollfd end = {0, POLLIN, 0}; poll(&end, 1, 0) <= 0;) turn(20);
}

static double cpu_s(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
         (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void measure(void) {
  turn_until(now() + 200000000ull);
  if (mode == BROADCAST) begin_round();
  else
    for (int i = 0; i < connections; i++)
      if (all[i].state == OPEN) ask(&all[i]);
  turn_until(now() + (uint64_t)(warm_up * 1e9));
  uint64_t began = now();
  double cpu = cpu_s();
  puts("{\"event\":\"begin\"}");
  measuring = 1;
  turn_until(began + (uint64_t)(seconds * 1e9));
  double took = (now() - began) / 1e9;
  measuring = 0;
  stopping = 1;
  printf("{\"event\":\"end\",\"answers\":%lu,\"per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
         "\"open\":%d,\"client_cpu\":%.2f}\n",
         answers, answers / took, percentile(0.5), percentile(0.99), opened, (cpu_s() - cpu) / took);
}

static const char *contents(const char *path) {
  static char text[16384];
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    exit(1);
  }
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  return text;
}

static char **lines_of(const char *path) {
  char **lines = calloc(connections, sizeof *lines);
  FILE *file = fopen(path, "r");
  size_t room = 0;
  for (int i = 0; i < connections; i++, room = 0) {
    ssize_t n = file ? getline(&lines[i], &room, file) : -1;
    if (n < 1 || n > FRAME_MAX / 2) {
      fprintf(stderr, "load: %s: a line for each connection\n", path);
      exit(2);
    }
    lines[i][n - 1] = 0;
  }
  fclose(file);
  return lines;
}

static enum mode mode_of(const char *name) {
  static const char *names[] = {"idle", "echo", "broadcast", "http"};
  for (int i = 0; i < 4; i++)
    if (!strcmp(name, names[i])) return i;
  fprintf(stderr, "load: no mode %s: idle, echo, broadcast or http\n", name);
  exit(2);
}

int main(int count, char **arguments) {
  if (count < 2) return fputs("load: which mode?\n", stderr), 2;
  mode = mode_of(arguments[1]);
  optind = 2;
  const char *path = NULL;
  for (int option; (option = getopt(count, arguments, "o:c:s:d:w:n:i:H:tP:W:")) > 0;) switch (option) {
      case 'o': port = atoi(optarg); break;
      case 'c': connections = atoi(optarg); break;
      case 's': payload = atoi(optarg); break;
      case 'd': seconds = atof(optarg); break;
      case 'w': warm_up = atof(optarg); break;
      case 'n': sources = atoi(optarg); break;
      case 'i': at_once = atoi(optarg); break;
      case 't': opcode = TEXT; break;
      case 'H': request = upgrade = contents(optarg); break;
      case 'P': path = optarg; break;
      case 'W': word = optarg; break;
      default: return 2;
    }
  if (connections < 1 || sources < 1 || payload < 1 || payload > 65535)
    return fputs("load: connections, sources: 1 or more; payload: 1 to 65535\n", stderr), 2;
  if (path) greetings = lines_of(path);
  setlinebuf(stdout);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  unsigned char *data = malloc(payload);
  memset(data, 'x', payload);
  if (mode == BROADCAST) data[0] = 'B';
  message_bytes = frame(message, opcode, data, payload);
  free(data);
  all = calloc(connections, sizeof *all);
  poller = epoll_create1(0);
  connect_all();
  if (mode != IDLE) measure();
  else {
    hold();
    printf("{\"event\":\"end\",\"open\":%d,\"pings\":%lu}\n", opened, pings);
  }
  return 0;
}
