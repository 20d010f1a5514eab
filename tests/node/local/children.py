"""Children of a process, as the kernel says.  Reads /proc."""

from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Return the pids of its children, also of those that ended and were not waited for."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (thread / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread ended since it was listed; its children are another's now
    return found
