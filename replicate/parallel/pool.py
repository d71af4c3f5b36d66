"""Tasks in processes of their own, some at once (section 4 has seven training runs a seed).

No shared memory or semaphore is used, so a machine without ``/dev/shm`` will
do.  Workers are forked from a server that has imported everything and done
nothing, and tell their parent through a pipe.
"""

import multiprocessing
import os
import resource
import signal
import threading
import traceback
from collections import namedtuple
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver

from ..io.errors import InputError

__all__ = ["Crew", "Outcome", "Task", "run_tasks", "start_server"]

#: What a worker is given: a name, a function of this package and its arguments,
#: and the names of the tasks that come first.  `function(*arguments, tell)`.
Task = namedtuple("Task", "name function arguments after")


@dataclass
class Outcome:
    """What became of tasks: failures by name, and the greatest memory of a process in bytes."""

    failures: dict = field(default_factory=dict)
    peak_memory: int = 0


def run_tasks(tasks, jobs, tell=None, threads=1, crew=None, meanwhile=None):
    """Run tasks in processes of their own, as many at once as `jobs`.

    A process that dies is reported, tasks that wait for it are left out, and
    the others go on.

    Args:
        tasks (list of Task): in the order of preference.
        jobs (int): processes at once.
        tell: callable ``(name, message)`` for what tasks tell, then ``"done"``,
            ``("result", value)`` where the function returned one, or ``"failed"``.
        threads (int): of the matrix library in each process.
        crew (Crew): who runs them, instead of `jobs` processes of this machine.
        meanwhile: callable for a core that has no task left: called once, beside
            the last tasks, in a thread of this process; never where there is no
            such core.  What it raises is raised at the end.

    Returns:
        Outcome: failures by name.

    Raises:
        InputError: when a task met bad input; others are stopped.
    """
    if not tasks:
        return Outcome()
    tell = tell or (lambda name, message: None)
    waiting = list(tasks)
    done, running, outcome = set(), 0, Outcome()
    beside = None
    crew = Crew(jobs, threads) if crew is None else crew
    try:
        while waiting or running:
            for task in list(waiting):
                blocked = [name for name in task.after if name in outcome.failures]
                if blocked:
                    outcome.failures[task.name] = f"needs {blocked[0]}, which failed"
                    waiting.remove(task)
                elif crew.free and done.issuperset(task.after):
                    waiting.remove(task)
                    crew.start(task)
                    running += 1
            if meanwhile and not beside and not waiting and running and crew.free:
                beside = _Beside(meanwhile)
            for task, kind, message in crew.wait() if running else ():
                if kind == "tell":
                    tell(task.name, message)
                    continue
                running -= 1
                if kind == "done":
                    done.add(task.name)
                    outcome.peak_memory = max(outcome.peak_memory, message[0])
                    tell(task.name, "done" if message[1] is None else ("result", message[1]))
                elif kind == "input":
                    raise InputError(message)
                else:
                    outcome.failures[task.name] = message
                    tell(task.name, "failed")
    finally:
        crew.stop()
    if beside:
        beside.end()
    return outcome


class _Beside(threading.Thread):
    """A function called in a thread, which a process that is ended does not wait for."""

    def __init__(self, function):
        super().__init__(daemon=True)
        self.function = function
        self.error = None
        self.start()

    def run(self):
        try:
            self.function()
        except BaseException as error:
            self.error = error

    def end(self):
        """Wait for it, and raise what it raised."""
        self.join()
        if self.error is not None:
            raise self.error


class Crew:
    """Processes of this machine that run tasks, one task each.

    Args:
        jobs (int): processes at once.
        threads (int): of the matrix library in each.
    """

    def __init__(self, jobs, threads=1):
        self.jobs = jobs
        self._context = start_server(threads)
        self._running = {}

    @property
    def busy(self):
        """How many tasks run."""
        return len(self._running)

    @property
    def free(self):
        """Whether another task can be started."""
        return self.busy < self.jobs

    def start(self, task):
        """Run a task in a new process.

        Raises:
            OSError: where as many files as that takes cannot be opened.
        """
        _check_descriptors()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, task), daemon=True)
        process.start()
        theirs.close()
        self._running[ours] = (process, task)

    def wait(self, timeout=None):
        """What running tasks tell next, or nothing after so many seconds.

        Returns:
            list of tuple: ``(task, kind, message)``.  Kinds: ``"tell"``; and at
            a task's end ``"done"`` with (peak memory, value), ``"input"``,
            ``"error"`` or ``"died"`` with words.
        """
        events = []
        for ours in connection.wait(list(self._running), timeout):
            process, task = self._running[ours]
            try:
                kind, message = ours.recv()
            except (EOFError, OSError):
                kind, message = "died", None
            if kind != "tell":
                del self._running[ours]
                ours.close()
                process.join()
            if kind == "died":
                code = process.exitcode
                how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
                message = f"its process was ended ({how})"
            events.append((task, kind, message))
        return events

    def stop(self):
        """End what still runs."""
        for process, _ in self._running.values():
            process.terminate()
        for process, _ in self._running.values():
            process.join()
        self._running.clear()


#: Files that are open in this process while it has a worker started: a pipe for what
#: the worker tells, two to the server, the connection to it, and one to spare.
_DESCRIPTORS = 8


def _check_descriptors():
    """Raise OSError before a worker is asked for, not halfway.

    A server that gets half a request ends, and says so at length.
    """
    opened = []
    try:
        while len(opened) < _DESCRIPTORS:
            opened.extend(os.pipe())
    finally:
        for descriptor in opened:
            os.close(descriptor)


def start_server(threads=1):
    """Start the process that workers are forked from: it imports everything and does no more.

    It is started once, with its own environment, since matrix libraries read the
    number of threads when they are loaded.  It takes seconds to be ready, which a
    caller that asks early need not wait for.

    Args:
        threads (int): of the matrix library in each worker.

    Returns:
        multiprocessing context: whose processes are forked from it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["replicate.parallel.preload"])
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return context


def _work(theirs, task):
    """Body of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, args=(theirs,), daemon=True).start()
    try:
        # Chainer takes a second to import; a parent that only parses words need not.
        from ..fast.convolution import fill_matrix_buffer

        fill_matrix_buffer()
        result = task.function(*task.arguments, lambda message: theirs.send(("tell", message)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        theirs.send(("done", (peak, result)))
    except InputError as error:
        theirs.send(("input", str(error)))
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
