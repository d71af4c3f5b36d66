"""Memory of a command: what its processes share counts once, and every descendant counts."""

import os
import subprocess
import sys
import time

import pytest

from replicate.parallel import memory
from replicate.parallel.memory import Peak, memory_of_family
from replicate.parallel.pool import Task, run_tasks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")

MB = 1_000_000
#: A process that holds some memory, with a child that holds as much, or sees its parent's.
HOLDS = """
import os, sys
held = bytearray(os.urandom(1)) * 60_000_000
child = os.fork()
if not child and sys.argv[1] == "own":
    held = bytearray(os.urandom(1)) * 60_000_000
if not child:
    os.write(1, b"x")
sys.stdin.read()
"""


def family_of(kind):
    """Memory that a process with a child of a kind has."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        process.stdout.read(1)
        return memory_of_family(process.pid)
    finally:
        process.communicate()


def test_every_descendant_counts_and_what_is_shared_counts_once():
    """A child with memory of its own doubles it; one that only has its parent's adds little."""
    own, shared = family_of("own"), family_of("shared")
    assert 120 * MB < own < 160 * MB and 60 * MB < shared < 100 * MB


def test_without_proc_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "PROC", tmp_path / "none")
    assert memory_of_family(os.getpid()) == 0


def test_the_greatest_of_some_looks(monkeypatch):
    """Not one at every report; the greatest stays."""
    sizes = iter([5, 9, 7])
    monkeypatch.setattr(memory, "memory_of_family", lambda root: next(sizes))
    now = [100.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: now[0])
    peak, found = Peak(seconds=5), []
    for passed in (0, 1, 3.9, 0.2, 5, 1):
        now[0] += passed
        peak.look()
        found.append(peak.bytes)
    assert found == [5, 5, 5, 9, 9, 9] and next(sizes, None) is None


def hold(size, on_progress):
    held = bytearray(os.urandom(1)) * size
    on_progress(len(held))
    time.sleep(0.5)  # while the parent looks


@pytest.mark.slow
@pytest.mark.usefixtures("importable")
def test_workers_count(monkeypatch):
    """Of two tasks the larger one's memory is in the sum, and in the peak of a worker."""
    monkeypatch.setattr(Peak.__init__, "__defaults__", (0.0,))
    outcome = run_tasks([Task("a", hold, (MB,), ()), Task("b", hold, (150 * MB,), ())], 1)
    assert outcome.peak_together > 150 * MB and outcome.peak_memory > 150 * MB
    small = run_tasks([Task("a", hold, (MB,), ())], 1)
    assert small.peak_together < outcome.peak_together - 100 * MB
