"""What a session of tests says as a whole: what the machine lacks, and what a test leaves behind."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
#: Of each thing that can be required, a test that needs it.
NEEDS = {
    "browser": "tests/test_browser.py::test_themes_differ",
    "data": "tests/test_corpus.py::test_mr_counts",
    "gpu": "tests/test_kernels.py::test_device_repeats_bit_for_bit",
    "mpi": "tests/test_mpi.py::test_a_run_over_two_ranks_gives_the_same_bytes",
    "torch": "tests/test_parity.py::test_the_place_of_eps_is_seen",
}

#: What has hundreds of tests, which are not collected instead of being skipped one by one.
LEFT_OUT = ("gpu", "torch")

pytestmark = pytest.mark.slow  # pytest in pytest


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


def pytest_of(tests, folder, required):
    """Tests in a process that finds no program, no data, no mpi4py, no CuPy and no PyTorch."""
    for name in ("mpi4py", "cupy", "torch"):
        (folder / f"{name}.py").write_text("raise ImportError('hidden')")
    environment = {
        **os.environ,
        "PATH": str(folder),
        "PYTHONPATH": str(folder),
        "REPLICATE_DATA": str(folder),
        "REPLICATE_REQUIRE": required,
        "PYTEST_ADDOPTS": "",
    }
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:xdist"]
    # Of its own: sessions that share a folder remove each other's old ones.
    command += ["--basetemp", str(folder / "nested")]
    return subprocess.run(
        [*command, *tests], cwd=REPOSITORY, env=environment,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("required", [("browser", "mpi"), ("data", "gpu", "torch")])
def test_without_it_a_test_ends_as_required(tmp_path, required):
    done = pytest_of(NEEDS.values(), tmp_path, ",".join(required))
    assert done.returncode == 1, done.stdout
    ends = dict(re.findall(r"^(tests/\S+) (\w+)", done.stdout, re.MULTILINE))
    for thing, test in NEEDS.items():
        if thing in required:
            assert ends[test] == "ERROR" and f"REPLICATE_REQUIRE names {thing})" in done.stdout
        else:
            assert ends.get(test) == (None if thing in LEFT_OUT else "SKIPPED"), thing
    for thing in LEFT_OUT:
        told = f"Tests marked {thing} are left out: " in done.stdout
        assert told == (thing not in required)


def test_a_misspelt_name_is_refused(tmp_path):
    done = pytest_of([NEEDS["browser"]], tmp_path, "browser,mpy")
    assert done.returncode == 4
    assert (
        "REPLICATE_REQUIRE: 'mpy' is none of browser, data, gpu, mpi, torch; correct it"
        in done.stderr
    )


@pytest.mark.parametrize("left, code", [("result", 1), (".pytest_cache", 0)])
def test_what_a_test_leaves_in_the_root_fails_the_session(left, code, tmp_path):
    """A folder that is new there, empty or not; those of pytest itself are not asked for."""
    shutil.copy(REPOSITORY / "conftest.py", tmp_path)
    (tmp_path / "test_a.py").write_text(f"import os\ndef test_a(): os.mkdir({left!r})\n")
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTEST_ADDOPTS": ""},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == code and "1 passed" in done.stdout, done.stdout + done.stderr
    assert ("a test left in the repository's root: result" in done.stdout) == bool(code)
