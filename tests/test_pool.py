"""Tasks in processes: their order, failures and deaths."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from replicate.io.errors import InputError
from replicate.parallel.pool import Task, run_tasks

REPOSITORY = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.usefixtures("importable")


def write(place, text, tell):
    """Append to a file, and tell."""
    with open(place, "a") as file:
        file.write(text)
    tell(text)
    return text * 2


def fail(tell):
    raise ZeroDivisionError("of the task")


def bad_input(tell):
    raise InputError("corpus.tsv: bad; mend it")


def die(number, tell):
    os.kill(os.getpid(), number)
    time.sleep(60)


def leave(code, tell):
    os._exit(code)


def environment(tell):
    return {n: os.environ.get(n) for n in ("OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}


def wait(seconds, tell):
    tell("waiting")
    time.sleep(seconds)


def wait_for(place, tell):
    """Until a file is there; a minute at most."""
    for _ in range(600):
        if place.exists():
            return "seen"
        time.sleep(0.1)
    return "not seen"


def test_order_and_messages(tmp_path):
    """A task waits for those it needs; what it tells and returns arrives."""
    place, told = tmp_path / "f", []
    tasks = [
        Task("c", write, (place, "c"), ("b",)),
        Task("b", write, (place, "b"), ("a",)),
        Task("a", write, (place, "a"), ()),
    ]
    outcome = run_tasks(tasks, 3, lambda name, message: told.append((name, message)))
    assert place.read_text() == "abc" and outcome.failures == {} and outcome.peak_memory > 0
    assert told == [(n, m) for n in "abc" for m in (n, ("result", n * 2))]


def test_a_failure_leaves_out_what_needs_it(tmp_path):
    """The others go on; the failure is told with its error."""
    place, told = tmp_path / "f", []
    tasks = [
        Task("bad", fail, (), ()),
        Task("after", write, (place, "x"), ("bad",)),
        Task("later", write, (place, "z"), ("after",)),
        Task("free", write, (place, "y"), ()),
    ]
    outcome = run_tasks(tasks, 1, lambda name, message: told.append((name, message)))
    assert place.read_text() == "y"
    assert "ZeroDivisionError: of the task" in outcome.failures["bad"]
    assert set(outcome.failures) == {"bad", "after", "later"} and "bad" in outcome.failures["after"]
    assert ("bad", "failed") in told and ("free", ("result", "yy")) in told


@pytest.mark.parametrize(
    "function, argument, words",
    [
        (die, signal.SIGKILL, "signal 9"),
        (die, signal.SIGSEGV, "signal 11"),
        (leave, 3, "exit code 3"),
    ],
)
def test_a_dead_process_is_a_failure(function, argument, words, tmp_path):
    """Killed by the system, crashed or gone: told, and the rest goes on."""
    tasks = [
        Task("dead", function, (argument,), ()),
        Task("free", write, (tmp_path / "f", "y"), ()),
    ]
    outcome = run_tasks(tasks, 2)
    assert words in outcome.failures["dead"] and list(outcome.failures) == ["dead"]
    assert (tmp_path / "f").read_text() == "y"


def test_bad_input_is_passed_on():
    """Its one line reaches the caller; others are stopped."""
    began = time.monotonic()
    with pytest.raises(InputError, match=r"corpus.tsv: bad; mend it"):
        run_tasks([Task("long", wait, (60,), ()), Task("bad", bad_input, (), ())], 2)
    assert time.monotonic() - began < 50  # not waited for


def test_no_more_at_once_than_jobs():
    """Two jobs: never three tasks between their first word and their end."""
    running, most = set(), []

    def tell(name, message):
        (running.add if message == "waiting" else running.discard)(name)
        most.append(len(running))

    run_tasks([Task(i, wait, (0.05,), ()) for i in range(6)], 2, tell)
    assert 1 <= max(most) <= 2


def test_a_core_without_a_task_does_something_else(tmp_path):
    """Once, and beside the last tasks: one of them waits for it."""
    place, calls, results = tmp_path / "f", [], {}

    def meanwhile():
        calls.append(len(results))
        place.touch()

    tasks = [
        Task("a", wait, (0,), ()),
        Task("b", wait_for, (place,), ("a",)),
        Task("c", wait, (0,), ()),
    ]
    run_tasks(tasks, 2, lambda n, m: results.update({n: m}), meanwhile=meanwhile)
    assert len(calls) == 1 and results["b"] == ("result", "seen")


def test_a_core_that_has_tasks_does_nothing_else():
    """As many tasks as jobs, to the last: it is never called."""
    tasks = [Task(name, wait, (0,), ()) for name in "abc"]
    run_tasks(tasks, 1, meanwhile=lambda: pytest.fail("called"))


def test_what_is_done_beside_tasks_may_fail(tmp_path):
    """The tasks go on to their end; then its error is raised."""

    def meanwhile():
        raise ZeroDivisionError("beside")

    with pytest.raises(ZeroDivisionError, match="beside"):
        run_tasks([Task("a", write, (tmp_path / "f", "x"), ())], 2, meanwhile=meanwhile)
    assert (tmp_path / "f").read_text() == "x"


def test_one_thread_each():
    """Matrix libraries read their number of threads when they are loaded: it is set before."""
    results = {}
    run_tasks([Task("e", environment, (), ())], 1, lambda n, m: results.update({n: m}))
    assert results["e"] == ("result", {"OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"})


@pytest.mark.slow
def test_workers_end_with_their_parent(tmp_path):
    """A parent that is killed leaves no process that writes into its folder."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_pool as t\n"
        "from replicate.parallel.pool import Task, run_tasks\n"
        "if __name__ == '__main__':\n"
        "    run_tasks([Task('w', t.pid_then_wait, (sys.argv[2],), ())], 1)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    place = tmp_path / "pid"
    parent = subprocess.Popen(
        [sys.executable, str(script), str(Path(__file__).parent), str(place)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    deadline = time.monotonic() + 60
    while not (place.exists() and place.read_text()):
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    worker = int(place.read_text())
    assert alive(worker)
    parent.kill()
    parent.wait()
    while alive(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)


def pid_then_wait(place, tell):
    """Tell who this is by a file, then wait for long."""
    Path(place).write_text(str(os.getpid()))
    time.sleep(120)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def test_no_shared_memory_is_used(tmp_path, monkeypatch):
    """Machines without /dev/shm will do: no semaphore, queue or shared memory is made."""
    import multiprocessing.synchronize

    def refuse(*arguments, **keywords):
        raise OSError("no /dev/shm")

    monkeypatch.setattr(multiprocessing.synchronize.SemLock, "__init__", refuse)
    outcome = run_tasks([Task("a", write, (tmp_path / "f", "a"), ())], 1)
    assert outcome.failures == {} and (tmp_path / "f").read_text() == "a"
