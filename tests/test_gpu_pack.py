"""The folder for a machine with a GPU, and a dry run of its script with the CPU in the device's place."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import gpu_pack
import gpu_run
import numpy as np
import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPT = REPOSITORY / "tools" / "gpu_run.py"


def read(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


# --- The folder ----------------------------------------------------------------


def wanting(lock, requirements):
    """Requirements that neither a slim folder of this lock file nor the machine has."""
    packed = {re.split(r"[=\[ ]", entry)[0] for entry in gpu_pack.lacking(lock)}
    names = {Requirement(text).name.lower().replace("_", "-") for text in requirements}
    return names - packed - gpu_pack.THERE


def requirements():
    (call,) = (
        node.value
        for node in ast.parse(read("setup.py")).body
        if isinstance(node, ast.Expr) and getattr(node.value, "func", None) is not None
    )
    (found,) = (word.value for word in call.keywords if word.arg == "install_requires")
    texts = map(Requirement, ast.literal_eval(found))
    # The machine has Python 3.12.
    return [
        str(r) for r in texts if r.marker is None or r.marker.evaluate({"python_version": "3.12"})
    ]


def test_a_slim_folder_has_what_the_machine_lacks():
    """With the locked hashes; big packages, which the machine has, are not in it."""
    lock = read("requirements.lock")
    packed = gpu_pack.lacking(lock)
    names = {re.split(r"[=\[ ]", entry)[0] for entry in packed}
    assert {"chainer", "gensim", "smart-open", "rich", "tomli-w"} <= names
    assert not names & {"numpy", "scipy", "numba", "llvmlite", "matplotlib", "pillow"}
    assert all("--hash=sha256:" in entry for entry in packed)
    assert wanting(lock, requirements()) == set()
    # Twins: a package that is not locked; a new requirement.
    without = re.sub(r"^tomli-w==.*\n(?:[ \t].*\n)*", "", lock, flags=re.MULTILINE)
    assert without != lock and wanting(without, requirements()) == {"tomli-w"}
    assert wanting(lock, [*requirements(), "attractors>=1"]) == {"attractors"}


#: A test file and whether it needs a device.
SNIPPETS = [
    ("@pytest.mark.gpu\ndef test_a(): pass", True),
    ("def test_a(device): pass", True),
    ("def test_a(cupy): pass", True),
    ("@pytest.mark.parametrize('place', ['cpu', GPU])\ndef test_a(place): pass", True),
    ("class TestA:\n    @pytest.mark.gpu\n    def test_a(self): pass", True),
    ("@pytest.mark.parametrize('device', ['@cpu'])\ndef test_a(device): pass", False),
    ("def helper(device): pass", False),
    ("def test_a(tmp_path): pass", False),
]


@pytest.mark.parametrize("source, needs", SNIPPETS)
def test_which_tests_need_a_device(source, needs):
    assert gpu_pack.needs_a_device(source) == needs


@pytest.mark.slow
def test_the_folder_has_all_tests_that_need_a_device(tmp_path):
    """They are collected there, by the folder's own configuration, without this repository's tests."""
    (tmp_path / "tests").mkdir()
    gpu_pack.copy_tests(tmp_path)

    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "gpu"]
    # Importing all test files takes half a minute; these alone can name the marker or a fixture.
    named = [
        place
        for place in sorted((REPOSITORY / "tests").glob("test_*.py"))
        if re.search("gpu|cupy|device", place.read_text(encoding="utf-8"), re.IGNORECASE)
    ]
    places = {REPOSITORY: map(str, named), tmp_path: ["tests"]}
    # Where they are required they are not left out, as they are here without a device.
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "REPLICATE_REQUIRE": "gpu"}
    collecting = [
        subprocess.Popen(
            [*command, *tests], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        for folder, tests in places.items()
    ]
    outputs = [process.communicate(timeout=300)[0] for process in collecting]
    assert [process.returncode for process in collecting] == [0, 0], outputs
    here, there = ({x for x in out.splitlines() if "::" in x} for out in outputs)
    assert len(here) > 400 and there == here
    assert (tmp_path / "gpu_run.py").read_bytes() == SCRIPT.read_bytes()


def test_a_python_312_is_found(monkeypatch, tmp_path):
    """Named, on the path, or pyenv's; a shim that only complains is none."""
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\necho 'not installed' >&2\nexit 127\n")
    shim.chmod(0o755)
    real = tmp_path / "versions" / "3.12.1" / "bin" / "python"
    real.parent.mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.delenv("PYTHON312", raising=False)
    assert gpu_pack.python312() is None
    real.write_text("#!/bin/sh\necho 3 12\n")
    real.chmod(0o755)
    assert gpu_pack.python312() == str(real)
    real.write_text("#!/bin/sh\necho 3 11\n")
    assert gpu_pack.python312() is None


# --- The dry run ---------------------------------------------------------------


def started(out, *options, fails=False):
    """Run the script, every file of its own in a folder that it must leave empty."""
    work = out.parent / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(out), "--dry-run", "--small", *options],
        env={**os.environ, "TMPDIR": str(work), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == int(fails), done.stdout + done.stderr
    assert list(work.iterdir()) == []
    found = json.loads((out / "gpu.json").read_text(encoding="utf-8"))
    return found, done.stdout, (out / "gpu.log").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def dry(tmp_path_factory):
    """The whole script, small."""
    return started(tmp_path_factory.mktemp("dry") / "out", "--patience", "10")


@pytest.mark.slow
def test_all_parts_of_a_dry_run_pass(dry):
    report, shown, log = dry
    assert list(report["parts"]) == list(gpu_run.LIMITS) == ["install", "a", "b", "c", "d", "e"]
    for name, part in report["parts"].items():
        assert part["status"] == "passed", part
        assert f"=== part {name}: passed" in log and re.search(rf"^{name} +passed", shown, re.M)


@pytest.mark.slow
def test_a_dry_run_names_what_it_replaced(dry):
    report, shown, _ = dry
    assert report["dry_run"] and report["device"] == "@cpu" and "gpu" not in report["parts"]["a"]
    assert report["replaced"][0] == "@cupy:0 by @cpu in parts a, c, d and e"
    assert "the wheels by the packages of this Python" in report["replaced"]
    assert any("/results" in what for what in report["replaced"])
    tests = report["parts"]["b"]["tests"]["a few"]
    assert tests["passed"] >= 12 and tests["failed"] == []
    # Where there is a device, its tests run in the dry run too.
    assert (tests["passed"] >= 16) != any("CuPy" in what for what in report["skipped"])
    for what in report["replaced"] + report["skipped"]:
        assert what in shown


@pytest.mark.slow
def test_a_dry_run_measures_and_compares(dry):
    """The CPU in the device's place gives its own bits; the other form gives nearly those."""
    part = dry[0]["parts"]["c"]
    named = {(one["place"], one["form"]): one for one in part["measured"]}
    assert named.keys() == {(p, f) for p in ("device", "cpu") for f in ("fused", "reference")}
    for (place, form), one in named.items():
        # Plain Chainer on the CPU takes seconds an epoch, and gets fewer.
        epochs = 3 if (place, form) == ("cpu", "reference") else 4
        assert len(one["accuracy"]) == len(one["loss"]) == epochs and "kept" not in one
        assert min(one["seconds"].values()) > 0 and one["memory"]["host_peak"] > 10**7
    compared = {row["name"]: row for row in part["against_fused_on_cpu"]}
    assert compared.keys() == {"device, fused", "device, reference", "cpu, reference"}
    kinds = ("accuracy", "loss", "training_loss", "wac", "wac_mean", "h_differ")
    assert {compared["device, fused"][kind] for kind in kinds} == {0}
    assert 0 < compared["device, reference"]["wac"] < 1e-2
    # Of fewer epochs: their curves are compared, wac is of all epochs.
    assert 0 < compared["cpu, reference"]["loss"] < 1e-3 and "wac" not in compared["cpu, reference"]
    assert [(row["vectors_mode"], row["filters"]) for row in part["sweep"]["cpu"]] == [
        ("static", 5), ("static", 10), ("finetuned", 5),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_dry_run_repeats_a_seed(dry):
    part = dry[0]["parts"]["d"]
    assert part["static_differ"] == part["finetuned_differ"] == []
    assert len(part["seconds"]) == 6 and part["jobs"] >= 2
    assert {name for name in part["seconds"] if "whole" in name} == {
        f"a whole seed, 5 filters, {place}" for place in ("device", "cpu")
    }


@pytest.mark.slow
def test_a_dry_run_starts_what_the_image_starts(dry):
    part = dry[0]["parts"]["e"]
    assert part["command"][:4] == ["replicate", "run", "--preset", "sample"]
    assert "@cupy:0" in part["command"] and part["report_bytes"] > 10_000


@pytest.mark.slow
def test_a_part_out_of_time_does_not_stop_the_next(tmp_path):
    """Each is ended, named and written; the script's own end says so."""
    report, shown, log = started(
        tmp_path / "out", "--patience", "0.001", "--only", "a,d,e", fails=True
    )
    assert list(report["parts"]) == ["a", "d", "e"]
    for name, part in report["parts"].items():
        assert part["status"] == "failed" and "out of time" in part["failures"][0]
        assert f"=== part {name}: failed" in log
    assert "out of time" in shown


# --- Its pieces ------------------------------------------------------------------


@pytest.fixture
def session(tmp_path):
    made = gpu_run.Session(tmp_path / "out", True, True, 1.0)
    made.until = time.monotonic() + 60
    yield made
    made.end()


def test_a_part_that_raises_does_not_stop_the_next(session, monkeypatch):
    def broken(session):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setitem(gpu_run.PARTS, "a", broken)
    monkeypatch.setitem(gpu_run.PARTS, "b", lambda session: {"found": 1})
    for name in ("a", "b"):
        session.carry_out(name)
        written = json.loads((session.out / "gpu.json").read_text(encoding="utf-8"))
        assert name in written["parts"]
    assert written["parts"]["a"]["status"] == "failed"
    assert "on purpose" in written["parts"]["a"]["failures"][0]
    assert written["parts"]["b"] == {
        "status": "passed", "took": written["parts"]["b"]["took"], "limit": gpu_run.LIMITS["b"],
        "found": 1,
    }  # fmt: skip
    assert "on purpose" in session.summary()


@pytest.mark.slow
def test_a_command_out_of_time_ends_with_all_it_started(session, tmp_path):
    place = tmp_path / "pid"
    code, output = session.run(
        "sh", "-c", f"echo begun; sleep 60 & echo $! >{place}; wait",
        until=time.monotonic() + 1,
    )  # fmt: skip
    assert code is None and output == "begun\n"
    state = Path(f"/proc/{int(place.read_text())}/stat")
    deadline = time.monotonic() + 10
    while state.exists() and state.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not state.exists() or state.read_text().split()[2] == "Z"
    # Twin: within its time it ends by itself.
    assert session.run("sh", "-c", "echo done; exit 3") == (3, "done\n")


def test_together_the_parts_stay_below_six_minutes():
    assert sum(gpu_run.LIMITS.values()) <= 355


def test_only_lacking_wheels_are_installed_and_nothing_with_them(session, tmp_path, monkeypatch):
    """What the machine has stays as it is; this package is installed in any case."""
    (tmp_path / "wheels").mkdir()
    for name in ("numpy-9.9-py3-none-any", "attractors-1.0-py3-none-any",
                 "word_saliency_replication-1.0.0-py3-none-any"):  # fmt: skip
        (tmp_path / "wheels" / f"{name}.whl").touch()
    monkeypatch.setattr(gpu_run, "HERE", tmp_path)
    asked = []
    monkeypatch.setattr(session, "run", lambda *words: asked.extend(words) or (0, ""))
    found = gpu_run.install(session)
    assert {"--no-deps", "--no-index", "--target"} <= set(asked) and session.site in asked
    assert [Path(word).name.split("-")[0] for word in asked if str(word).endswith(".whl")] == [
        "attractors", "word_saliency_replication",
    ]  # fmt: skip
    assert found["there"]["numpy"] == importlib.metadata.version("numpy")
    assert found["failures"] == []


SEVERAL = """\
[gw1] [ 25%] PASSED tests/test_a.py::test_a[1-two words]
[gw0] [ 50%] FAILED tests/test_a.py::test_b
[gw0] [ 75%] SKIPPED tests/test_a.py::test_c
[gw1] [100%] ERROR tests/test_a.py::test_d
"""
ONE = """\
tests/test_a.py::test_a[1-two words] PASSED                [ 25%]
tests/test_a.py::test_b FAILED                             [ 50%]
tests/test_a.py::test_c SKIPPED (CuPy is not installed)    [ 75%]
tests/test_a.py::test_d ERROR                              [100%]
"""
END = """\
Tests marked gpu are left out: CuPy finds no device (a reason).
SKIPPED [1] tests/test_a.py:7: MPI is not installed
FAILED tests/test_a.py::test_b - AssertionError: no
ERROR tests/test_a.py::test_d - RuntimeError
"""


@pytest.mark.parametrize("body", [SEVERAL, ONE])
def test_outcomes_of_tests(body):
    """Of one process or several; of output that breaks off, as far as it goes."""
    found = gpu_run.outcomes(body + END)
    assert (found["passed"], found["skipped"]) == (1, 1)
    assert found["failed"] == [
        "tests/test_a.py::test_b - AssertionError: no", "tests/test_a.py::test_d - RuntimeError",
    ]  # fmt: skip
    assert found["without"] == ["CuPy finds no device (a reason)", "MPI is not installed"]
    cut = gpu_run.outcomes("".join(body.splitlines(keepends=True)[:2]))
    assert cut["passed"] == 1 and cut["failed"] == ["tests/test_a.py::test_b - see gpu.log"]


def test_the_made_text_is_of_mrs_size():
    """10,662 sentences of about twenty words, some 18,000 word types, most of them rare."""
    size = gpu_run.SIZES[False]
    texts, labels, words, leaning = gpu_run.made_texts(size["sentences"], size["words"])
    seen = {}
    for text in texts:
        for word in text.split():
            seen[word] = seen.get(word, 0) + 1
    assert len(texts) == len(labels) == 10_662 and sum(labels) == 5331
    assert 17_500 < len(seen) < 18_500 and 210_000 < sum(seen.values()) < 225_000
    assert 0.15 < sum(count == 1 for count in seen.values()) / len(seen) < 0.6
    assert len(words) == len(leaning) == size["words"] and (leaning != 0).mean() < 0.25


def test_files_that_differ_are_named(tmp_path):
    for name in "ab":
        (tmp_path / name / "seed-000" / "T1").mkdir(parents=True)
        (tmp_path / name / "seed-000" / "T1" / "model.npz").write_bytes(b"12")
    a, b = tmp_path / "a", tmp_path / "b"
    assert gpu_run.differing_files(a, b) == []
    (b / "seed-000" / "T1" / "model.npz").write_bytes(b"13")
    (a / "seed-000" / "more").touch()
    assert gpu_run.differing_files(a, b) == ["seed-000/T1/model.npz", "seed-000/more"]


@pytest.mark.parametrize(
    "found, failures",
    [
        ({"static_differ": [], "finetuned_differ": []}, 0),
        ({"static_differ": ["seed-000/T1/model.npz"], "finetuned_differ": []}, 1),
        ({"static_differ": [], "finetuned_differ": ["seed-000/T1/model.npz"]}, 1),
    ],
)
def test_runs_that_do_not_repeat_fail_their_part(found, failures, session, monkeypatch):
    monkeypatch.setattr(session, "work_on", lambda name, **arguments: (dict(found), []))
    assert len(gpu_run.side_by_side(session)["failures"]) == failures


def test_how_far_apart():
    assert gpu_run.apart(np.float32([0, 1, 2]), np.float32([0, 1, 4])) == 0.5
    assert gpu_run.apart(np.zeros(2, np.float32), np.zeros(2, np.float32)) == 0


@pytest.mark.parametrize(
    "device, least",
    [([3, 2, 1], 400), ([1, 1, 1], 5), ([9, 9, 9], None), ([1, 9, 1], 400), ([2, 1, 1], 100)],
)
def test_from_how_many_filters_on_the_device_is_faster(device, least):
    # Fine-tuned steps are another matter: where they counted, 100 filters would be faster.
    sweeps = {
        place: [
            {"vectors_mode": mode, "filters": f, "step_seconds": s}
            for mode, f, s in (
                *zip(["static"] * 3, (5, 100, 400), seconds),
                ("finetuned", 100, 0 if place == "device" else 3),
            )
        ]
        for place, seconds in (("device", device), ("cpu", [2, 2, 2]))
    }
    assert gpu_run.faster_from(sweeps, "step") == least
    assert gpu_run.faster_from({"cpu": sweeps["cpu"]}, "step") is None


def test_the_entry_is_the_dockerfiles():
    words, environment = gpu_run.entry(read("Dockerfile"), "cuda")
    assert words[:2] == ["replicate", "run"] and words[-2:] == ["--out", "/results/sample"]
    assert "@cupy:0" in words
    # Of the stage below it, and its own.
    assert environment["CUPY_CACHE_DIR"] == "/tmp/cupy"
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    other = read("Dockerfile").replace(
        '"sample", "--seeds", "3", "--device"', '"paper", "--device"'
    )
    assert gpu_run.entry(other, "cuda")[0] != words
    assert gpu_run.entry(read("Dockerfile"), "cpu")[0] != words
