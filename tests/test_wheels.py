"""Installing as a user does: what the wheels are made of, and what a new environment must show."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import try_install
import wheels
from try_install import Failed

from replicate.io.files import toml_table

REPOSITORY = Path(__file__).resolve().parents[1]


def read(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


def test_chainer_is_built_from_the_locked_source_distribution():
    """One package's lines, with hashes; a name that begins alike is another package."""
    lock = "chain==1 \\\n    --hash=sha256:a\nchainer==7.8.1 \\\n    --hash=sha256:b \\\n    --hash=sha256:c\nx==1\n"
    assert wheels.entry(lock, "chainer") == (
        "chainer==7.8.1 \\\n    --hash=sha256:b \\\n    --hash=sha256:c\n"
    )
    assert "--hash=sha256:" in wheels.entry(read("requirements.lock"), "chainer")
    with pytest.raises(ValueError):
        wheels.entry(lock, "cupy")


def test_sources_of_the_wheel_are_those_of_the_image(tmp_path):
    """What setup.py reads is copied, and nothing that Python made."""
    (copied,) = [wheels.copied_sources(tmp_path)]
    assert {place.name for place in copied.iterdir()} == set(wheels.SOURCES)
    assert not list(copied.rglob("__pycache__"))
    assert (copied / "replicate" / "data" / "expected.csv").is_file()


def test_build_constraints_are_the_same_everywhere():
    """pip's file, uv's lines and the lock of the build tools."""
    place = REPOSITORY / "pyproject.toml"
    for_uv = toml_table(read("pyproject.toml"), place)["tool"]["uv"][
        "build-constraint-dependencies"
    ]
    assert read("build-constraints.txt").split() == for_uv == ["setuptools<74"]
    (locked,) = re.findall(r"^setuptools==(\d+)", read("requirements-build.lock"), re.MULTILINE)
    assert int(locked) < 74
    assert "build-constraints.txt" in read("MANIFEST.in")


def versions_named():
    """The Pythons that each file names, the oldest first."""
    setup = read("setup.py")
    (oldest,) = re.findall(r'python_requires=">=(3\.\d+)"', setup)
    nox = next(
        ast.literal_eval(node.value)
        for node in ast.parse(read("noxfile.py")).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PYTHONS"
    )
    pages = [
        re.search(r"Python (3\.\d+)[–〜](3\.\d+)", read(p)) for p in ("README.md", "README.ja.md")
    ]
    return oldest, re.findall(r"Python :: (3\.\d+)", setup), nox, [page.groups() for page in pages]


def test_versions_of_python_are_in_step():
    oldest, classifiers, nox, pages = versions_named()
    assert oldest == classifiers[0] and classifiers == nox
    assert pages == [(classifiers[0], classifiers[-1])] * 2
    assert f"({oldest} to {classifiers[-1]})" in read("Makefile")
    assert f'target-version = "py{oldest.replace(".", "")}"' in read("pyproject.toml")
    assert f"--python-version {oldest} " in read("requirements.sh")


RIGHT = {
    "python": "3.13.0", "chainer": "7.8.1", "setuptools": "84.2.1", "pkg_resources": False,
    "gensim": "4.4.0", "supplied": ["numpy.sctypes", "pkg_resources"],
}  # fmt: skip


def test_a_right_environment_passes():
    try_install.check(RIGHT)
    try_install.check({**RIGHT, "python": "3.14.8", "gensim": None})


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"setuptools": "73.0.1"}, "an old setuptools"),
        ({"pkg_resources": True}, "an old setuptools"),
        ({"supplied": ["numpy.sctypes"]}, "not supplied"),
        ({"gensim": None}, "gensim is missing"),
    ],
)
def test_an_environment_that_proves_nothing_is_refused(changed, words):
    with pytest.raises(Failed, match=words):
        try_install.check({**RIGHT, **changed})


def answering(code, output):
    return lambda folder, words: subprocess.CompletedProcess(words, code, output)


def test_chainers_own_build_must_fail_for_the_known_reason(monkeypatch):
    monkeypatch.setattr(try_install, "start", answering(1, "No module named 'pkg_resources'"))
    try_install.needed(None, ["pip"])
    for code, output, words in ((0, "", "can be simpler"), (1, "no network", "another reason")):
        monkeypatch.setattr(try_install, "start", answering(code, output))
        with pytest.raises(Failed, match=words):
            try_install.needed(None, ["pip"])


def test_without_wheels_one_line(tmp_path, capsys):
    assert try_install.main(["--wheels", str(tmp_path)]) == 2
    assert "run `make wheels`" in capsys.readouterr().err


def test_a_command_that_fails_is_shown(tmp_path):
    with pytest.raises(Failed, match="exit code 3\nwhy"):
        try_install.run(tmp_path, sys.executable, "-c", "print('why'); raise SystemExit(3)")


def test_without_gensim_the_sample_is_refused_in_one_line(monkeypatch, refused):
    """As on Python 3.14, where it cannot be installed yet."""
    from replicate.io.data import sample_path

    monkeypatch.setitem(sys.modules, "gensim", None)
    with refused("the sample comes with gensim", "name --corpus and --vectors"):
        sample_path()
