"""Tasks in processes: their order, failures and deaths, and what they inherit."""

import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest
from samples import BAD_JOBS

from replicate.io.errors import InputError
from replicate.parallel import mpi, pool
from replicate.parallel.pool import Task, TaskFailed, run_tasks

REPOSITORY = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.usefixtures("importable")


def write(place, text, on_progress):
    """Append to a file, and report it."""
    with open(place, "a") as file:
        file.write(text)
    on_progress(text)


def fail(on_progress):
    raise ZeroDivisionError("of the task")


def bad_input(on_progress):
    raise InputError("corpus.tsv: bad; mend it")


def give_up(on_progress):
    raise TaskFailed("it diverged; choose another")


def die(number, on_progress):
    os.kill(os.getpid(), number)
    time.sleep(60)


def leave(code, on_progress):
    os._exit(code)


def surroundings(on_progress):
    """Report what a worker has from its parent: threads, working folder, the package, the stages."""
    names = ("OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    threads, folder = [os.environ.get(n) for n in names], os.getcwd()
    stages = "replicate.experiment" in sys.modules
    on_progress([*threads, folder, folder in sys.path, pool.__file__, stages])


def wait(seconds, on_progress):
    on_progress("waiting")
    time.sleep(seconds)


def reports(*tasks, **options):
    """All messages of tasks, none of which fails, by task."""
    found = {}
    outcome = run_tasks(
        list(tasks), 1, lambda name, message: found.setdefault(name, []).append(message), **options
    )
    assert outcome.failures == {}
    return found


@pytest.mark.slow
def test_order_and_messages(tmp_path):
    """A task waits for those it needs; what it reports arrives."""
    place, reported = tmp_path / "f", []
    tasks = [
        Task("c", write, (place, "c"), ("b",)),
        Task("b", write, (place, "b"), ("a",)),
        Task("a", write, (place, "a"), ()),
    ]
    outcome = run_tasks(tasks, 3, lambda name, message: reported.append((name, message)))
    assert place.read_text() == "abc" and outcome.failures == {} and outcome.peak_memory > 0
    assert reported == [(n, m) for n in "abc" for m in (n, "done")]


@pytest.mark.slow
def test_a_failure_leaves_out_what_needs_it(tmp_path):
    """The others go on; the failure is reported with its error."""
    place, reported = tmp_path / "f", []
    tasks = [
        Task("bad", fail, (), ()),
        Task("after", write, (place, "x"), ("bad",)),
        Task("later", write, (place, "z"), ("after",)),
        Task("free", write, (place, "y"), ()),
    ]
    outcome = run_tasks(tasks, 1, lambda name, message: reported.append((name, message)))
    assert place.read_text() == "y"
    assert "ZeroDivisionError: of the task" in outcome.failures["bad"]
    assert set(outcome.failures) == {"bad", "after", "later"} and "bad" in outcome.failures["after"]
    assert ("bad", "failed") in reported and ("free", "done") in reported


@pytest.mark.slow
@pytest.mark.parametrize(
    "function, argument, words",
    [
        (die, signal.SIGKILL, "signal 9"),
        (die, signal.SIGSEGV, "signal 11"),
        (leave, 3, "exit code 3"),
    ],
)
def test_a_dead_process_is_a_failure(function, argument, words, tmp_path):
    """Killed by the system, crashed or gone: reported, and the rest goes on."""
    tasks = [
        Task("dead", function, (argument,), ()),
        Task("free", write, (tmp_path / "f", "y"), ()),
    ]
    outcome = run_tasks(tasks, 2)
    assert words in outcome.failures["dead"] and list(outcome.failures) == ["dead"]
    assert (tmp_path / "f").read_text() == "y"


@pytest.mark.slow
def test_bad_input_is_passed_on():
    """Its one line reaches the caller; others are stopped."""
    began = time.monotonic()
    with pytest.raises(InputError, match=r"corpus.tsv: bad; mend it"):
        run_tasks([Task("long", wait, (60,), ()), Task("bad", bad_input, (), ())], 2)
    assert time.monotonic() - began < 50  # not waited for


@pytest.mark.slow
def test_a_task_that_gives_up_stops_no_other(tmp_path):
    """Its one line is the failure, without a traceback; bad input stops all, as above."""
    place = tmp_path / "f"
    tasks = [Task("bad", give_up, (), ()), Task("free", write, (place, "y"), ())]
    assert run_tasks(tasks, 1).failures == {"bad": "it diverged; choose another"}
    assert place.read_text() == "y"


@pytest.mark.slow
def test_no_more_at_once_than_jobs():
    """Two jobs: never three tasks between their first report and their end."""
    running, most = set(), []

    def on_progress(name, message):
        (running.add if message == "waiting" else running.discard)(name)
        most.append(len(running))

    run_tasks([Task(i, wait, (0.05,), ()) for i in range(6)], 2, on_progress)
    assert 1 <= max(most) <= 2


def test_one_thread_each():
    """Matrix libraries read their number of threads when they are loaded: it is set before."""
    before = dict(os.environ)
    ((threads, numba_threads, folder, *_), _) = reports(Task("e", surroundings, (), ()))["e"]
    assert (threads, numba_threads) == ("1", "1") and folder == os.getcwd()
    assert dict(os.environ) == before


def test_workers_start_with_the_stages_imported():
    """By their server, so that each has them at once."""
    assert reports(Task("e", surroundings, (), ()))["e"][0][-1] is True


def test_what_a_worker_cannot_import_is_reported(tmp_path):
    """One line of the worker's error, and nothing on the terminal; the others go on."""
    module = types.ModuleType("nowhere")
    exec("def lost(on_progress): pass", vars(module))
    module.lost.__module__ = "nowhere"
    sys.modules["nowhere"] = module
    try:
        tasks = [
            Task("lost", module.lost, (), ()),
            Task("free", write, (tmp_path / "f", "y"), ()),
        ]
        outcome = run_tasks(tasks, 1)
    finally:
        del sys.modules["nowhere"]
    assert list(outcome.failures) == ["lost"] and (tmp_path / "f").read_text() == "y"
    last = outcome.failures["lost"].strip().splitlines()[-1]
    assert last == "ModuleNotFoundError: No module named 'nowhere'"


@pytest.mark.parametrize("jobs", BAD_JOBS, ids=repr)
def test_fewer_jobs_than_one_are_refused(jobs, refused, tmp_path):
    """No task would ever start, and the caller would wait for ever."""
    task = Task("a", write, (tmp_path / "f", "x"), ())
    for start in (
        lambda: run_tasks([task], jobs),
        lambda: run_tasks([], jobs),
        lambda: mpi.run_shares([[task]], jobs),
        lambda: pool.WorkerPool(jobs),
    ):
        with refused(f"jobs = {jobs!r}"):
            start()
    assert not (tmp_path / "f").exists()


def test_a_rank_with_bad_jobs_waits_for_no_other(monkeypatch, refused):
    """It would wait for ranks that have ended with the same message."""
    monkeypatch.setattr(mpi, "active", lambda: True)
    monkeypatch.setattr(mpi, "wait", lambda: pytest.fail("waits"))
    for start in (lambda: mpi.run_shares([], 0), lambda: mpi.follow(-1)):
        with refused("jobs = "):
            start()


# --- the server that workers are forked from ------------------------------------------


@pytest.fixture
def killed_server(monkeypatch):
    """The server dies with each of the first `n` requests in its hands: ``killed_server(n)``."""
    server = multiprocessing.forkserver._forkserver
    real = server.connect_to_new_process
    requests = []

    def fatal(n):
        def connect(fds):
            server.ensure_running()
            requests.append(pid := server._forkserver_pid)
            if len(requests) > n:
                return real(fds)
            os.kill(pid, signal.SIGSTOP)  # it must not have answered
            try:
                return real(fds)
            finally:
                os.kill(pid, signal.SIGKILL)

        monkeypatch.setattr(multiprocessing.forkserver, "connect_to_new_process", connect)
        return requests

    return fatal


@pytest.mark.slow
def test_a_killed_server_is_replaced(killed_server, tmp_path):
    """The task whose worker it was to fork is run by the next one, with the same settings."""
    requests = killed_server(1)
    found = reports(Task("a", surroundings, (), ()), Task("b", surroundings, (), ()), threads=3)
    assert len(requests) == 3 and requests[0] != requests[1] == requests[2]
    for name in "ab":
        (threads, numba_threads, folder, *_), end = found[name]
        assert (threads, numba_threads, end) == ("3", "3", "done") and folder == os.getcwd()


@pytest.mark.slow
def test_a_server_that_always_dies_is_a_failure(killed_server, monkeypatch, tmp_path):
    """Reported as the death of a process, not an EOFError; the tasks after it are run."""
    monkeypatch.setattr(pool, "_PAUSE", 0.05)
    requests = killed_server(pool._TRIES)
    tasks = [
        Task("lost", write, (tmp_path / "f", "x"), ()),
        Task("after", write, (tmp_path / "f", "z"), ("lost",)),
        Task("free", write, (tmp_path / "f", "y"), ()),
    ]
    outcome = run_tasks(tasks, 1)
    assert outcome.failures["lost"].startswith("its process was ended")
    assert outcome.failures["after"] == "needs lost, which failed"
    assert (tmp_path / "f").read_text() == "y" and len(requests) == pool._TRIES + 1


@pytest.mark.slow
def test_a_server_killed_between_tasks_is_replaced():
    """By a task, as the system might: the next task has a server again."""
    found = reports(Task("a", kill_server, (), ()), Task("b", surroundings, (), ("a",)), threads=2)
    assert found["b"][0][0] == "2" and found["b"][1] == "done"


@pytest.fixture
def handler_inside(monkeypatch):
    """``handler_inside()``: what SIGINT does while the server is being started."""
    seen = []
    look = lambda: seen.append(signal.getsignal(signal.SIGINT))  # noqa: E731
    monkeypatch.setattr(multiprocessing.forkserver, "ensure_running", look)
    before = signal.getsignal(signal.SIGINT)

    def start():
        pool.start_server()
        return seen.pop()

    yield start
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "handler",
    [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, lambda number, frame: None],
)
def test_a_server_starts_with_interrupts_ignored(handler, handler_inside):
    """It inherits that; afterwards this process has the handler that it had, whichever it was."""
    signal.signal(signal.SIGINT, handler)
    assert handler_inside() == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) == handler


def test_handlers_are_left_where_they_cannot_be_set_again(handler_inside, monkeypatch):
    """By another thread, and where a program that embeds Python has one of its own."""
    # A shell starts what it runs in the background with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before, seen = signal.getsignal(signal.SIGINT), []
    other = threading.Thread(target=lambda: seen.append(handler_inside()))
    other.start()
    other.join()
    assert seen == [before] and before != signal.SIG_IGN
    with monkeypatch.context() as patch:
        patch.setattr(signal, "getsignal", lambda number: None)
        handler_inside()
    assert signal.getsignal(signal.SIGINT) == before


#: Starts the server and interrupts it while it imports, then runs a task.
INTERRUPTED = """
import os, signal, sys, time
from multiprocessing.forkserver import _forkserver as server
sys.path.append({tests!r})
signal.signal(signal.SIGINT, signal.default_int_handler)
from replicate.parallel import pool
import test_pool
pool.start_server()
first = server._forkserver_pid
for _ in range(8):
    time.sleep(0.1)
    os.kill(first, signal.SIGINT)
outcome = pool.run_tasks([pool.Task("a", test_pool.write, ({place!r}, "x"), ())], 1)
print(outcome.failures, first == server._forkserver_pid)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(9)
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.slow
def test_an_interrupt_while_the_server_imports_prints_nothing(tmp_path):
    """No traceback of what it is importing; it lives, and this process can be interrupted still."""
    program = INTERRUPTED.format(tests=str(Path(__file__).parent), place=str(tmp_path / "f"))
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{} True\nstopped\n", "")


def kill_server(on_progress):
    os.kill(os.getppid(), signal.SIGKILL)


# --- what workers inherit -------------------------------------------------------------

#: A program in a folder of its own that runs one task, as the console script does.
PROGRAM = """
import sys
sys.path.append({tests!r})
{first}
from replicate.parallel import pool
import test_pool
{before}
if __name__ == "__main__" or not {guarded}:
    print("program", flush=True)
    found = []
    outcome = pool.run_tasks(
        [pool.Task("a", test_pool.surroundings, (), ())], 1, lambda *m: found.append(m)
    )
    print(outcome.failures, *found[0][1][2:])
"""


def run_program(place, cwd, before="", guarded=True, first="", **environment):
    """Standard output and error of the program, its file at `place`; None: without a file."""
    program = PROGRAM.format(
        tests=str(Path(__file__).parent), first=first, before=before, guarded=guarded
    )
    arguments = ["-c", program]
    if place is not None:
        place.parent.mkdir(exist_ok=True)
        place.write_text(program)
        arguments = [str(place)]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, check=False, capture_output=True, text=True,
        timeout=120, env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
    )  # fmt: skip
    return done.stdout, done.stderr


def sound(cwd, searched=False):
    """What the program prints: once; its worker is in that folder and starts with this package."""
    package = REPOSITORY / "replicate/parallel/pool.py"
    return f"program\n{{}} {cwd} {searched} {package} True\n", ""


@pytest.fixture
def planted_modules(tmp_path):
    """A working folder of modules that must not be imported: each leaves a file that says so."""
    folder = tmp_path / "working folder"
    (folder / "replicate" / "parallel").mkdir(parents=True)
    names = "numpy random tokenize sitecustomize socket signal multiprocessing chainer"
    places = [folder / f"{name}.py" for name in names.split()]
    places += [folder / "replicate" / "__init__.py", folder / "replicate/parallel/__init__.py"]
    for place in places:
        place.write_text("import os\nos.open(__file__ + ' ran', os.O_CREAT)\n")
    return folder


@pytest.mark.slow
def test_workers_import_nothing_from_the_working_folder(planted_modules, tmp_path):
    """Neither they, nor their server, nor its helpers; their working folder is it all the same."""
    found = run_program(tmp_path / "program" / "main.py", planted_modules)
    assert found == sound(planted_modules)
    assert list(planted_modules.rglob("* ran")) == []


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["os.chdir = lambda folder: None", "sys.path.insert(0, '')"])
def test_planted_modules_would_run(broken, planted_modules, tmp_path):
    """Twin: a server started in the working folder, and a path that leads there."""
    before = f"import os, sys\n{broken}\n"
    if "path" in broken:
        before += "pool._module_path = lambda: sys.path[:]"
    run_program(tmp_path / "program" / "main.py", planted_modules, before)
    assert list(planted_modules.rglob("* ran")) != []


@pytest.mark.slow
def test_workers_have_the_package_of_their_parent(tmp_path):
    """Wherever that found it: by a path of its own, before another one, or in the working folder."""
    other = tmp_path / "other" / "replicate"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    first = f"sys.path.insert(0, {str(REPOSITORY)!r})"
    place = tmp_path / "program" / "main.py"
    found = run_program(place, tmp_path, first=first, PYTHONPATH=str(other.parent))
    assert found == sound(tmp_path)
    assert run_program(None, REPOSITORY, PYTHONPATH="") == sound(REPOSITORY, True)
    assert run_program(None, tmp_path) == sound(tmp_path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (["", "/x"], ["PACKAGE", "/x"]),
        (["/x", "PACKAGE", ""], ["/x", "PACKAGE"]),
        (["/x", "/y"], ["PACKAGE", "/x", "/y"]),
    ],
    ids=str,
)
def test_where_workers_look_for_modules(path, expected, monkeypatch):
    """Where their parent does, less the working folder, and the package always."""
    path, expected = (
        [str(REPOSITORY) if place == "PACKAGE" else place for place in places]
        for places in (path, expected)
    )
    monkeypatch.setattr(sys, "path", path)
    assert pool._module_path() == expected


@pytest.mark.slow
@pytest.mark.parametrize("where", ["elsewhere", "here"])
def test_a_script_without_a_guard_runs_once(where, tmp_path):
    """Workers do not run the main module: no second program, no error, the task is done."""
    folder = tmp_path / "program"
    folder.mkdir()
    cwd = folder if where == "here" else tmp_path
    assert run_program(folder / "main.py", cwd, guarded=False) == sound(cwd, where == "here")


@pytest.mark.slow
def test_a_main_module_that_is_run_would_be_noticed(tmp_path):
    """Twin: as multiprocessing does it, the script is run again in the worker."""
    before = "import contextlib\npool._without_main = contextlib.nullcontext"
    out, err = run_program(tmp_path / "main.py", tmp_path, before, guarded=False)
    assert out.count("program") > 1 and "An attempt has been made to start a new process" in (
        out + err
    )


@pytest.mark.slow
def test_a_long_temporary_folder_will_do(tmp_path):
    """A socket's path has about a hundred bytes; TMPDIR may have more."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    place = tmp_path / "program" / "main.py"
    assert run_program(place, tmp_path, TMPDIR=str(folder)) == sound(tmp_path)
    # Twin: the folder is one that a socket has no room in.
    _, err = run_program(place, tmp_path, "pool._LONGEST = 999", TMPDIR=str(folder))
    assert "AF_UNIX path too long" in err


# --- the end of a parent, a machine without shared memory ------------------------------


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


def pid_then_wait(place, on_progress):
    """Write this process's number to a file, then wait for long."""
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


class Inline:
    """Stands in for a pool of two: every task reports ten times, and ends."""

    def __init__(self, jobs, threads=1):
        self.running = []

    @property
    def busy(self):
        return len(self.running)

    @property
    def free(self):
        return self.busy < 2

    def start(self, task):
        self.running.append([task, 10])

    def wait(self):
        first = self.running[0]
        first[1] -= 1
        if first[1] >= 0:
            return [(first[0], "progress", 10 - first[1])]
        self.running.pop(0)
        if first[0].name == "lost":
            return [(first[0], "died", "gone")]
        return [(first[0], "done", 1)]

    def stop(self):
        pass


class Counted(tuple):
    """The names of tasks that come first; counts who asks."""

    asked = 0

    def __iter__(self):
        Counted.asked += 1
        return super().__iter__()


def test_reports_of_a_long_run_cost_no_search(monkeypatch):
    """Of a thousand waiting tasks only those next in turn are looked at, and only at an end."""
    monkeypatch.setattr(pool, "WorkerPool", Inline)
    Counted.asked = 0
    tasks = [Task(i, None, (), Counted()) for i in range(1000)]
    ends = []
    outcome = run_tasks(tasks, 2, lambda name, message: message == "done" and ends.append(name))
    assert ends == list(range(1000)) and outcome.failures == {}
    # Two or three a task, where a look at all of them for each report is five million.
    assert Counted.asked < 4000


def test_tasks_run_in_order_whatever_they_wait_for(monkeypatch):
    """Those that may run come first, those that need a failure are left out."""
    monkeypatch.setattr(pool, "WorkerPool", Inline)
    tasks = [
        Task("late", None, (), ("b",)), Task("lost", None, (), ()), Task("b", None, (), ()),
        Task("never", None, (), ("lost",)), Task("nor this", None, (), ("never",)),
        Task("c", None, (), ()),
    ]  # fmt: skip
    ends = []
    outcome = run_tasks(tasks, 2, lambda name, message: message == "done" and ends.append(name))
    assert ends == ["b", "c", "late"]
    assert sorted(outcome.failures) == ["lost", "never", "nor this"]
