"""What a machine lacks is skipped with a reason, or fails where it is required."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
#: Of each thing that can be required, a test that needs it.
NEEDS = {
    "browser": "tests/test_browser.py::test_themes_differ",
    "gpu": "tests/test_kernels.py::test_device_repeats_bit_for_bit",
    "mpi": "tests/test_mpi.py::test_a_run_over_two_ranks_gives_the_same_bytes",
}


@pytest.mark.parametrize("named", ["browser", "mpi,browser", " browser , "])
def test_what_is_required_fails(missing, monkeypatch, named):
    monkeypatch.setenv("REPLICATE_REQUIRE", named)
    with pytest.raises(pytest.fail.Exception, match="no browser is there .*names browser"):
        missing("browser", "no browser is there")


@pytest.mark.parametrize("named", [None, "", "mpi"])
def test_what_is_not_required_is_skipped(missing, monkeypatch, named):
    monkeypatch.delenv("REPLICATE_REQUIRE", raising=False)
    if named is not None:
        monkeypatch.setenv("REPLICATE_REQUIRE", named)
    with pytest.raises(pytest.skip.Exception, match="^no browser is there$"):
        missing("browser", "no browser is there")


def pytest_of(test, folder, required):
    """A test in a process that finds no program, no mpi4py and no CuPy."""
    for name in ("mpi4py", "cupy"):
        (folder / f"{name}.py").write_text("raise ImportError('hidden')")
    environment = {
        **os.environ,
        "PATH": str(folder),
        "PYTHONPATH": str(folder),
        "REPLICATE_REQUIRE": required,
        "PYTEST_ADDOPTS": "",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        test,
    ]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("thing", NEEDS)
def test_without_it_a_test_ends_as_required(tmp_path, thing):
    failed = pytest_of(NEEDS[thing], tmp_path, thing)
    assert failed.returncode == 1 and f"REPLICATE_REQUIRE names {thing}" in failed.stdout
    skipped = pytest_of(NEEDS[thing], tmp_path, "")
    assert skipped.returncode == 0 and "1 skipped" in skipped.stdout, skipped.stdout


def test_a_misspelt_name_is_refused(tmp_path):
    told = pytest_of(NEEDS["browser"], tmp_path, "browser,mpy")
    assert told.returncode == 4
    assert "REPLICATE_REQUIRE: 'mpy' is none of browser, gpu, mpi; correct it" in told.stderr
