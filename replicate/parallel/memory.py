"""Memory of a command with all processes that it started."""

import contextlib
import os
import time
from pathlib import Path

__all__ = ["Peak", "memory_of_family"]

#: Where Linux lists its processes.
PROC = Path("/proc")


def memory_of_family(root: int) -> int:
    """Memory of a process and all its descendants, as it is now.

    It is proportional (PSS): what several processes share counts once.

    Args:
        root: number of the process.

    Returns:
        Bytes; 0 where the system does not say (anything but Linux).

    Example:
        >>> memory_of_family(os.getpid()) >= 0
        True
    """
    parents, total = {}, 0
    with contextlib.suppress(OSError):
        for place in PROC.iterdir():
            if place.name.isdigit():
                with contextlib.suppress(OSError):
                    # The name of the program, in brackets, may hold anything.
                    fields = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()
                    parents[int(place.name)] = int(fields[1])
    family, grown = {root}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in family} - family
        family, grown = family | more, bool(more)
    for pid in family:
        with contextlib.suppress(OSError):
            for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


class Peak:
    """The greatest memory of this process and all its descendants, looked at now and then.

    Args:
        seconds: least time between two looks, each of which takes some milliseconds.

    Attributes:
        bytes: the greatest so far.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = seconds
        self.bytes = 0
        self._next = 0.0

    def look(self) -> None:
        """Look, unless the last look was a moment ago."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self.seconds
            self.bytes = max(self.bytes, memory_of_family(os.getpid()))
