"""Commands under ``mpiexec``, for the tests of several ranks."""

import csv
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
#: Beside the interpreter (the wheel of Open MPI), or the system's.
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")

SMALL = ["--preset", "sample", "--epochs", "3", "--quiet"]

#: Code for :func:`start`: a run without figures and report, which take most of its time.
UNDRAWN = """
    def prepare():
        from replicate import experiment

        experiment.conclude = lambda run: []
"""


@pytest.fixture(scope="module")
def _mpi(missing):
    """What several ranks need, or the end of the test."""
    try:
        import mpi4py  # noqa: F401
    except ImportError:
        missing("mpi", "mpi4py is not installed: pip install mpi4py")
    if MPIEXEC is None:
        missing("mpi", "mpiexec is not installed: it is in Debian's openmpi-bin")


def needs_mpi(test):
    """Mark a test that starts several ranks, which takes long."""
    return pytest.mark.slow(pytest.mark.usefixtures("_mpi")(test))


def start(n, arguments, code="", options=(), seconds=120, **environment):
    """The command on n ranks (1: without mpiexec); `code` comes first on each."""
    program = ["-m", "replicate"]
    if code:
        # A file and a guard: worker processes import the main module again.
        place = Path(environment.pop("script"))
        place.write_text(
            textwrap.dedent(code)
            + "\nif __name__ == '__main__':\n    import sys\n    from replicate import cli\n"
            "    prepare()\n    cli.main(sys.argv[1:])\n"
        )
        program = [str(place)]
    command = [sys.executable, *program, *map(str, arguments)]
    if n > 1:
        command = [MPIEXEC, *options, "--oversubscribe", "-n", str(n), *command]
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OPENBLAS_NUM_THREADS": "1",
        # For root alone; others need none of them.
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        **environment,
    }
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


def done(*arguments, **options):
    finished = start(*arguments, **options)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished


def contents(folder):
    """Relative name -> bytes; without what tells the time."""
    timed = {"run.log", "timing.json", "report.html", ".lock"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.name not in timed
    }


def read_rows(place):
    """Rows of a CSV file, as text."""
    with open(place, encoding="utf-8") as file:
        return list(csv.DictReader(file))
