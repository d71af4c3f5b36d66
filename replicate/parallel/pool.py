"""Tasks in processes of their own, several at once (section 4 has seven training runs a seed).

No shared memory or semaphore is used, so a machine without ``/dev/shm`` will
do.  Workers are forked from a server that has imported everything and done
nothing else; each reports to its parent through a pipe.
"""

import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
import types
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any

from ..config import whole
from ..io.errors import InputError, shorten
from .memory import Peak

__all__ = [
    "Outcome",
    "Task",
    "TaskFailed",
    "WorkerPool",
    "checked_jobs",
    "run_tasks",
    "start_server",
]

#: What a worker runs: a name, a function of an importable module and its arguments, and
#: the names of the tasks that come first.  Called as `function(*arguments, on_progress)`.
Task = namedtuple("Task", "name function arguments after")


class TaskFailed(Exception):
    """Raised by a task that cannot be done for a reason of its own, which is one line.

    It counts as a failure, and the others go on; an :class:`InputError` stops them all.
    """


@dataclass
class Outcome:
    """How tasks ended: failures by name, and the greatest memory in bytes.

    Attributes:
        peak_memory: of a worker.
        peak_together: of all processes together, of several ranks the sum of theirs; 0 where
            the system does not say.
    """

    failures: dict = field(default_factory=dict)
    peak_memory: int = 0
    peak_together: int = 0


def checked_jobs(jobs: int) -> int:
    """How many tasks run at once, a whole number from 1; with fewer, none would ever start.

    Raises:
        InputError: for anything else.

    Example:
        >>> checked_jobs(2)
        2
        >>> checked_jobs(-1)
        Traceback (most recent call last):
            ...
        replicate.io.errors.InputError: jobs = -1: no number of tasks at once; write 1 or more
    """
    try:
        if whole(jobs) >= 1:
            return whole(jobs)
    except TypeError:
        pass
    raise InputError(f"jobs = {shorten(jobs)}: no number of tasks at once; write 1 or more")


def run_tasks(
    tasks: list,
    jobs: int,
    on_progress: Callable[[Any, Any], None] | None = None,
    threads: int = 1,
) -> Outcome:
    """Run tasks in processes of their own, at most `jobs` at once.

    A process that dies is reported, as is a task that raises :class:`TaskFailed`; the
    tasks that need it are left out, and the others go on.

    Args:
        tasks (list of Task): in the order of preference.
        jobs (int): processes at once.
        on_progress: callable ``(name, message)``: what a task reports, then
            ``"done"`` or ``"failed"``.
        threads (int): of the matrix library in each process.

    Returns:
        Outcome: failures by name.

    Raises:
        InputError: when a task met bad input; the others are stopped.  And for `jobs`
            below 1.
    """
    jobs = checked_jobs(jobs)
    if not tasks:
        return Outcome()
    on_progress = on_progress or (lambda name, message: None)
    done: set = set()
    waiting, outcome, together = list(tasks), Outcome(), Peak()
    pool = WorkerPool(jobs, threads)
    try:
        ended = True  # whether another task may be due
        while waiting or pool.busy:
            # Not at every report: a thousand seeds wait, and each epoch reports.
            for task in list(waiting) if ended else ():
                blocked = [name for name in task.after if name in outcome.failures]
                if blocked:
                    outcome.failures[task.name] = f"needs {blocked[0]}, which failed"
                    waiting.remove(task)
                elif not pool.free:
                    break
                elif done.issuperset(task.after):
                    waiting.remove(task)
                    pool.start(task)
            ended = False
            events = pool.wait()
            together.look()
            for task, kind, message in events:
                ended = ended or kind != "progress"
                if kind == "progress":
                    on_progress(task.name, message)
                elif kind == "done":
                    done.add(task.name)
                    outcome.peak_memory = max(outcome.peak_memory, message)
                    on_progress(task.name, "done")
                elif kind == "input":
                    raise InputError(message)
                else:
                    outcome.failures[task.name] = message
                    on_progress(task.name, "failed")
    finally:
        pool.stop()
    outcome.peak_together = together.bytes
    return outcome


class WorkerPool:
    """Processes of this machine that run tasks, one task each.

    Args:
        jobs (int): processes at once.
        threads (int): of the matrix library in each.

    Raises:
        InputError: for `jobs` below 1.
    """

    def __init__(self, jobs: int, threads: int = 1) -> None:
        self.jobs = checked_jobs(jobs)
        self.threads = threads
        start_server(threads)
        self._running: dict = {}
        self._not_started: list = []

    @property
    def busy(self) -> int:
        """How many tasks run."""
        return len(self._running) + len(self._not_started)

    @property
    def free(self) -> bool:
        """Whether another task can be started."""
        return self.busy < self.jobs

    def start(self, task: Task) -> None:
        """Run a task in a new process; where none can be started, :meth:`wait` reports a death.

        Raises:
            OSError: where as many files as that takes cannot be opened.
        """
        for _ in range(_TRIES):
            _check_descriptors()
            ours, theirs = multiprocessing.Pipe()
            try:
                start_server(self.threads)
                with _without_main():
                    process = _context.Process(target=_work, args=(theirs,), daemon=True)
                    process.start()
            except (EOFError, ConnectionError):
                # Somebody killed the server.  The next try starts another; a worker that
                # this one may have forked ends without a task when its pipe is closed.
                ours.close()
                time.sleep(_PAUSE)
                continue
            finally:
                theirs.close()
            with contextlib.suppress(OSError):  # it has died; its end of the pipe says so
                ours.send(task)
            self._running[ours] = (process, task)
            return
        words = "its process was ended, and the server that workers are forked from"
        self._not_started.append((task, "died", words))

    def wait(self) -> list:
        """Wait until tasks report something.

        Returns:
            list of tuple: ``(task, kind, message)``.  Kinds: ``"progress"``; and
            at a task's end ``"done"`` with its peak memory, ``"input"``,
            ``"error"`` or ``"died"`` with words.
        """
        events, self._not_started = self._not_started, []
        if events:
            return events
        ready: Any = connection.wait(list(self._running)) if self._running else ()
        for ours in ready:
            process, task = self._running[ours]
            try:
                kind, message = ours.recv()
            except (EOFError, OSError):
                kind, message = "died", None
            if kind != "progress":
                del self._running[ours]
                ours.close()
                process.join()
            if kind == "died":
                code = process.exitcode
                how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
                message = f"its process was ended ({how})"
            events.append((task, kind, message))
        return events

    def stop(self) -> None:
        """End what still runs."""
        for process, _ in self._running.values():
            process.terminate()
        for process, _ in self._running.values():
            process.join()
        self._running.clear()


#: How often a worker is asked for where the server dies, and seconds between: until the
#: kernel has taken a killed server away, it looks alive.
_TRIES, _PAUSE = 4, 0.2
#: Files that are open in this process while it has a worker started: a pipe for what
#: the worker reports, two to the server, the connection to it, and one to spare.
_DESCRIPTORS = 8
#: Bytes of a temporary folder's path in which a socket has room: systems allow 103 or
#: more, of which its own name and its folder's take 32.
_LONGEST = 70

_context = multiprocessing.get_context("forkserver")


def _check_descriptors():
    """Raise OSError before a worker is asked for: half a request ends the server with a traceback."""
    opened: list[int] = []
    try:
        while len(opened) < _DESCRIPTORS:
            opened.extend(os.pipe())
    finally:
        for descriptor in opened:
            os.close(descriptor)


def start_server(threads: int = 1) -> None:
    """Start the process that workers are forked from, where it does not run yet.

    It imports all that a worker needs, which takes seconds; a caller that asks
    early need not wait for it.

    Args:
        threads (int): of the matrix library in each worker.
    """
    _context.set_forkserver_preload(["replicate.parallel.preload"])
    with _surroundings(threads), _without_interrupts():
        forkserver.ensure_running()


def _module_path():
    """Where workers look for modules: where this process does, but for the working folder."""
    package = os.path.realpath(Path(__file__).parents[2])
    path = [place for place in sys.path if place]
    return path if package in map(os.path.realpath, path) else [package, *path]


@contextlib.contextmanager
def _surroundings(threads):
    """What the server inherits from this process, set for the moment of its start.

    Matrix libraries read the number of threads when they are loaded.  The
    server is started as ``python -c``, which imports from the working folder
    before all others: it is started in the folder of Python's own library.
    Its socket goes to a folder with a short name.
    """
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
    settings = dict.fromkeys(names, str(threads))
    # OpenBLAS's own threads would wait for its next product in a loop, and keep ours from a core.
    settings["OPENBLAS_THREAD_TIMEOUT"] = "4"
    settings["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, _module_path()))
    before = {name: os.environ.get(name) for name in settings}
    folder, temporary = os.getcwd(), tempfile.tempdir
    os.environ.update(settings)
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST:
        tempfile.tempdir = "/tmp"
    try:
        os.chdir(os.path.dirname(os.__file__))
        yield
    finally:
        os.chdir(folder)
        tempfile.tempdir = temporary
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _without_interrupts():
    """A process that is started here ignores Ctrl-C from its first moment.

    The server ignores it of its own only once it has imported everything; before, Ctrl-C
    would end it with a traceback of whatever it is importing.  What is ignored stays so in
    a new program, which a handler does not.
    """
    # Only the main thread may set handlers; one that is not Python's cannot be set again.
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _without_main():
    """Workers run no main module and find no module in the working folder.

    Otherwise a script without ``if __name__ == "__main__"`` would run again in each.
    """
    main, path = sys.modules["__main__"], sys.path[:]
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.path[:] = _module_path()
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        sys.path[:] = path


def _work(theirs):
    """Body of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        # Sent, not among the process's arguments: what cannot be imported is reported.
        task = theirs.recv()
    except (EOFError, ConnectionError):
        return  # the parent has given this process up
    except BaseException:
        theirs.send(("error", traceback.format_exc()))
        return
    threading.Thread(target=_die_with_parent, args=(theirs,), daemon=True).start()
    try:
        # Chainer takes a second to import; a parent that only parses words need not.
        from ..fast.convolution import warm_up_blas

        warm_up_blas()
        task.function(*task.arguments, lambda message: theirs.send(("progress", message)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        theirs.send(("done", peak))
    except InputError as error:
        theirs.send(("input", str(error)))
    except TaskFailed as error:
        theirs.send(("error", str(error)))
    except BaseException:
        theirs.send(("error", traceback.format_exc()))
    finally:
        theirs.close()


def _die_with_parent(theirs):
    """A killed parent must not leave workers that write into its folder."""
    try:
        theirs.recv()
    except (EOFError, OSError):
        os._exit(1)
