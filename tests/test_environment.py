"""What numbers and figures depend on is set, or is recorded and said."""

import json
import os
import shutil
import sys

import matplotlib as mpl
import pytest

from replicate import environment, experiment
from replicate.config import Config
from replicate.experiment import prepare, run_seed
from replicate.run import Options, Run
from replicate.settings import differences
from replicate.show import figures

CONFIG = Config(n_filters=3, epochs=3, batch_size=8, learning_rate=0.02)


@pytest.fixture
def corpus(tmp_path):
    place = tmp_path / "corpus.tsv"
    rows = [f"{i % 2}\t{'fine' if i % 2 else 'dull'} film {i % 7} of {i % 5}" for i in range(60)]
    place.write_text("label\ttext\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return place


def made(folder, corpus, seeds=(0,), vectors="random", options=None):
    return prepare(
        folder, CONFIG, options or Options(), list(seeds), [corpus], vectors, dimensions=4
    )


# --- set ------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_number_of_threads_is_set(fresh_python):
    """In a command, before NumPy is imported; a library leaves it to its user."""
    show = (
        "import os; print([os.environ.get(n) for n in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS')])"
    )
    given = {"OPENBLAS_NUM_THREADS": "7", "OMP_NUM_THREADS": "5"}
    watch = "import sys, replicate.environment as e; assert 'numpy' not in sys.modules; "
    assert fresh_python(watch + "import replicate.cli; " + show, **given).strip() == "['1', '1']"
    assert (
        fresh_python("import replicate, replicate.config; " + show, **given).strip() == "['7', '5']"
    )


@pytest.mark.slow
def test_weights_are_float32_whatever_chainer_is_told(fresh_python):
    """The type of a network's weights, and the rounding of all that follows."""
    code = """
import numpy as np
from replicate.config import Config
from replicate.model import TextCNN
for form in ("fused", "reference"):
    model = TextCNN(np.zeros((4, 3), dtype=np.float32), 2, Config(n_filters=2), 0, form)
    print({str(p.dtype) for p in model.params()}, model.conv.W.array.tobytes().hex())
"""
    plain = fresh_python(code)
    assert plain.count("{'float32'}") == 2
    for kind in ("float64", "float16", "mixed16"):
        assert fresh_python(code, CHAINER_DTYPE=kind) == plain


TABLE = [
    ("all", kind, e, 3 - e, 2 - e, 4 - e) for kind in ("correct", "misclassified") for e in (1, 2)
]
USERS = {
    "font.size": 20,
    "text.usetex": True,
    "axes.facecolor": "yellow",
    "lines.linewidth": 9,
    "savefig.dpi": 10,
    "savefig.facecolor": "red",
    "path.sketch": (1, 100, 2),
    "axes.formatter.use_locale": True,
    "svg.fonttype": "none",
}


def drawn(stem):
    with figures.styled():
        return figures.draw_figure_5("title", TABLE, stem)


@pytest.mark.slow
def test_figures_do_not_depend_on_a_users_settings(tmp_path):
    """Not a byte, whatever was set in this process; and the user's settings are his afterwards."""
    plain = drawn(tmp_path / "a")
    with mpl.rc_context(USERS):
        ours = drawn(tmp_path / "b")
        assert {name: mpl.rcParams[name] for name in USERS} == USERS
    for kind in (".png", ".svg"):
        assert ours.with_suffix(kind).read_bytes() == plain.with_suffix(kind).read_bytes()


def test_users_settings_that_reach_a_figure_would_be_noticed(tmp_path, monkeypatch):
    """Twin: our style on top of the user's lets the rest of it through."""
    plain = drawn(tmp_path / "a").read_bytes()
    monkeypatch.setattr(figures, "styled", lambda: mpl.rc_context(figures.STYLE))
    with mpl.rc_context({**USERS, "text.usetex": False}):
        assert drawn(tmp_path / "b").read_bytes() != plain


@pytest.mark.slow
def test_figures_do_not_depend_on_a_matplotlibrc(tmp_path, fresh_python):
    """The file that Matplotlib reads when it is imported; there is no LaTeX."""
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\nfont.size: 20\naxes.facecolor: yellow\nbackend: pdf\n"
    )
    code = f"""
import pathlib, sys
from replicate.show import figures
import matplotlib
with figures.styled():
    figures.draw_figure_5("title", {TABLE!r}, pathlib.Path(sys.argv[1]))
print(matplotlib.rcParams["font.size"])
"""
    plain = fresh_python(code, tmp_path / "a")
    users = fresh_python(code, tmp_path / "b", MATPLOTLIBRC=str(tmp_path / "matplotlibrc"))
    assert (plain.strip(), users.strip()) == ("10.0", "20.0")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.slow
def test_every_figure_is_drawn_in_our_style(recorded_run, copied):
    """Those of a run, all of them: a byte of none is the user's."""
    run = copied(recorded_run)
    experiment.conclude(run)
    folder = run.out / "figures"
    plain = {p.name: p.read_bytes() for p in folder.iterdir()}
    with mpl.rc_context(USERS):
        experiment.conclude(run)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == plain and len(plain) == 20


def test_one_function_sets_the_style():
    """A module that took its style itself would draw in the rest of the user's."""
    package = environment.Path(figures.__file__).parents[1]
    using = [p.name for p in package.rglob("*.py") if "rc_context" in p.read_text("utf-8")]
    assert using == ["figures.py"]


# --- a home and a cache ------------------------------------------------------------------


@pytest.fixture
def surroundings(monkeypatch):
    """The environment of this test alone."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ.pop("NUMBA_CACHE_DIR", None)
    return os.environ


def test_a_cache_is_chosen_where_none_can_be_written(surroundings, monkeypatch, tmp_path):
    """As Numba looks: where one is named, beside the source, in the home; else a temporary one."""
    found, writable = [], set()
    monkeypatch.setattr(
        environment, "_writable", lambda place: bool(found.append(place)) or place in writable
    )
    surroundings["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    environment.set_surroundings()
    beside, cache = found
    assert beside.endswith("__pycache__") and cache == str(tmp_path / "cache")
    chosen = surroundings.pop("NUMBA_CACHE_DIR")
    assert os.path.isdir(chosen) and "replicate-" in chosen
    for place in (beside, cache):
        writable = {place}
        environment.set_surroundings()
        assert "NUMBA_CACHE_DIR" not in surroundings
    writable, surroundings["NUMBA_CACHE_DIR"] = {"named"}, "named"
    environment.set_surroundings()
    assert surroundings["NUMBA_CACHE_DIR"] == "named"


def test_what_can_be_written_to(tmp_path):
    """A folder, one that can be made, and not a file in its place; nothing is left there."""
    assert environment._writable(str(tmp_path)) and environment._writable(str(tmp_path / "a" / "b"))
    (tmp_path / "file").touch()
    assert not environment._writable(str(tmp_path / "file"))
    assert not environment._writable(str(tmp_path / "file" / "below"))
    assert list((tmp_path / "a" / "b").iterdir()) == []


# --- recorded -------------------------------------------------------------------------------


def test_what_is_inherited_is_recorded(surroundings, corpus, tmp_path):
    """Variables of the libraries of numbers, and the processor, whose loops round otherwise."""
    surroundings.update(
        OPENBLAS_CORETYPE="Haswell", NPY_DISABLE_CPU_FEATURES="AVX2", OPENBLAS_NUM_THREADS="3",
        NUMBA_CACHE_DIR="x", EDITOR="vi",
    )  # fmt: skip
    found = environment.inherited()
    assert found["OPENBLAS_CORETYPE"] == "Haswell" and found["NPY_DISABLE_CPU_FEATURES"] == "AVX2"
    assert found["system"] and found["processor"]
    assert not {"OPENBLAS_NUM_THREADS", "NUMBA_CACHE_DIR", "EDITOR"} & set(found)
    assert made(tmp_path / "run", corpus).settings["environment"] == found


def other_versions(monkeypatch, **changed):
    """As if another version of something were installed."""
    real = experiment.versions()
    monkeypatch.setattr(experiment, "versions", lambda: {**real, **changed})


def test_a_run_that_goes_on_under_another_version_keeps_both(corpus, tmp_path, monkeypatch):
    """The first stays, each other is added once; the same again is not."""
    began = made(tmp_path / "run", corpus).settings
    assert "continued" not in made(tmp_path / "run", corpus).settings
    with monkeypatch.context() as patch:
        other_versions(patch, numpy="9.9", more="1")
        for _ in range(2):
            now = made(tmp_path / "run", corpus).settings
            assert now["versions"] == began["versions"] and len(now["continued"]) == 1
            assert now["continued"][0]["versions"] == {
                **began["versions"],
                "numpy": "9.9",
                "more": "1",
            }
        found = differences(now, experiment.versions(), experiment.inherited())
        assert found == ["more none (now 1)", f"numpy {began['versions']['numpy']} (now 9.9)"]
    monkeypatch.setattr(experiment, "inherited", lambda: {"processor": "another"})
    now = made(tmp_path / "run", corpus).settings
    assert [c["environment"].get("processor") == "another" for c in now["continued"]] == [
        False,
        True,
    ]
    assert Run(tmp_path / "run").settings == now


def test_a_command_says_that_the_version_is_another(corpus, tmp_path, monkeypatch, capsys):
    """One line on standard error, and in the log."""
    from replicate import cli
    from replicate.commands import progress

    arguments = ["run", "--corpus", str(corpus), "--vectors", "random", "--dimensions", "4"]
    arguments += ["--epochs", "3", "-q", "--jobs", "1", "--out", str(tmp_path / "run")]
    monkeypatch.setattr("replicate.parallel.schedule.run_all", lambda *a: __import__("replicate.parallel.pool", fromlist=["x"]).Outcome())  # fmt: skip

    def run():
        with pytest.raises(SystemExit):
            cli.main(arguments)
        return capsys.readouterr().err

    assert run() == "" and run() == ""
    real = progress.versions()
    monkeypatch.setattr(progress, "versions", lambda: {**real, "python": "3.99"})
    line = f"{tmp_path / 'run'}: goes on with another python {real['python']} (now 3.99); its settings keep both\n"
    assert run() == line and "3.99" in (tmp_path / "run" / "run.log").read_text()


def test_a_snapshot_of_another_version_is_not_gone_on_with(corpus, tmp_path, monkeypatch):
    """A training run is of one version."""
    run = made(tmp_path / "run", corpus)
    first = experiment._fingerprint(run, 0, "T1", run.corpus.tokens)
    assert experiment._fingerprint(run, 0, "T1", run.corpus.tokens) == first
    other_versions(monkeypatch, numpy="9.9")
    assert experiment._fingerprint(run, 0, "T1", run.corpus.tokens) != first


# --- the data that is answered for ---------------------------------------------------------


def words_of(corpus):
    return sorted({w for line in corpus.read_text().splitlines()[1:] for w in line.split()[1:]})


def vector_file(folder, name, corpus, binary_vectors, text_vectors, shift=0.0):
    """Vectors of half of the words, in one of the forms of the same."""
    import gzip

    vectors = {w: [i / 8 + shift, 0.5, -0.25, i] for i, w in enumerate(words_of(corpus)[::2])}
    data = text_vectors(vectors) if ".txt" in name else binary_vectors(vectors)
    place = folder / name
    place.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return place


@pytest.mark.slow
def test_a_run_is_of_the_data_not_of_its_packing(corpus, tmp_path, binary_vectors, text_vectors, refused):  # fmt: skip
    """Renamed, repacked, in another format: the same run, the same identity; others are refused."""
    import gzip

    forms = [
        vector_file(tmp_path, name, corpus, binary_vectors, text_vectors)
        for name in ("a.bin", "b.bin.gz", "c.txt", "d.txt.gz")
    ]
    run = made(tmp_path / "run", corpus, vectors=forms[0])
    config = (tmp_path / "run" / "config.json").read_bytes()
    renamed = shutil.copy(corpus, tmp_path / "renamed.tsv")
    packed = tmp_path / "packed.tsv.gz"
    packed.write_bytes(gzip.compress(corpus.read_bytes()))
    for place in (renamed, packed):
        for form in forms:
            again = made(tmp_path / "run", place, vectors=form)
            assert again.identity == run.identity
            assert (tmp_path / "run" / "config.json").read_bytes() == config
            assert made(tmp_path / "other", place, vectors=form).identity == run.identity
            shutil.rmtree(tmp_path / "other")
    other = vector_file(tmp_path, "e.bin", corpus, binary_vectors, text_vectors, shift=1.0)
    with refused("other word vectors", "a.bin", "e.bin"):
        made(tmp_path / "run", corpus, vectors=other)
    assert made(tmp_path / "other", corpus, vectors=other).identity != run.identity
    text = corpus.read_text()
    for change in (("fine", "good"), ("0\t", "2\t")):  # a word, a label
        corpus.write_text(text.replace(*change))
        with refused("another corpus"):
            made(tmp_path / "run", corpus, vectors=forms[0])


def test_settings_of_version_1_0_0_are_read(corpus, tmp_path, refused):
    """They have no checksums of content and matrix, and no environment: both are made up for."""
    run = made(tmp_path / "run", corpus)
    place = tmp_path / "run" / "config.json"
    old = json.loads(place.read_text())
    del old["corpus"]["content"], old["vectors"]["matrix"], old["environment"]
    place.write_text(json.dumps(old))
    assert Run(tmp_path / "run").identity == run.identity
    now = made(tmp_path / "run", corpus, seeds=(0, 1)).settings
    assert now["seeds"] == [0, 1] and "continued" not in now
    corpus.write_text(corpus.read_text().replace("fine", "good"))
    with refused("another corpus"):
        made(tmp_path / "run", corpus)


@pytest.mark.slow
def test_committed_verdicts_are_found_for_their_data(mr_folder, mr_vectors, tmp_path):
    """By the identity that expected.csv has; also for the same vectors unpacked, under another name."""
    import gzip

    from replicate.commands.experiment import _committed
    from replicate.settings import read_settings

    place = environment.Path(__file__).parents[1] / "results/paper-googlenews-subset/config.json"
    _, config = read_settings(place)
    unpacked = tmp_path / "mine.bin"
    unpacked.write_bytes(gzip.decompress(mr_vectors.read_bytes()))
    run = prepare(tmp_path / "run", config, Options(), [0], [mr_folder], unpacked)
    assert _committed(run.identity)
    other = prepare(
        tmp_path / "o", config.replace(n_filters=6), Options(), [0], [mr_folder], unpacked
    )
    assert _committed(other.identity) is None


# --- seeds added later ---------------------------------------------------------------------


def files_of(run):
    return {
        str(p.relative_to(run.out)): p.read_bytes()
        for p in sorted(run.out.rglob("*"))
        if p.is_file()
    }


@pytest.mark.slow
@pytest.mark.parametrize("later", [(2, 5), (5, 7), (1, 2, 5, 7)])
def test_seeds_added_later_leave_the_files_of_all_at_once(later, corpus, tmp_path):
    """Weights of every epoch are of the lowest seed only, whenever it came."""
    run = made(tmp_path / "later", corpus, seeds=(5,))
    run_seed(run, 5)
    assert (run.folder(5, "T1") / "weights.npz").exists()
    for seeds in ((5,), later):
        run = made(tmp_path / "later", corpus, seeds=seeds)
    once = made(tmp_path / "once", corpus, seeds=later)
    for each in (run, once):
        for seed in later:
            run_seed(each, seed)
    assert run.finished_seeds() == list(later)
    assert files_of(run) == files_of(once)
    assert (run.folder(min(later), "T1") / "weights.npz").exists()


def test_weights_stay_where_all_are_wanted(corpus, tmp_path):
    """--epoch-weights all keeps those of every seed."""
    options = Options(epoch_weights="all")
    run = made(tmp_path / "run", corpus, seeds=(5,), options=options)
    run_seed(run, 5)
    before = files_of(run)
    made(tmp_path / "run", corpus, seeds=(2, 5), options=options)
    after = files_of(run)
    assert {n for n in before if after.get(n) != before[n]} == {"config.json"}


def test_python_is_among_the_versions():
    assert environment.versions()["python"] == ".".join(map(str, sys.version_info[:3]))


# --- the commit of the package --------------------------------------------------------


DIGEST = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "files, wanted",
    [
        ({".git/HEAD": DIGEST}, DIGEST),
        ({".git/HEAD": "ref: refs/heads/main", ".git/refs/heads/main": DIGEST}, DIGEST),
        ({".git/HEAD": "ref: refs/heads/main",
          ".git/packed-refs": f"# pack-refs\n{'f' * 40} refs/heads/other\n{DIGEST} refs/heads/main"},
         DIGEST),
        ({".git": "gitdir: shared/worktrees/one", "shared/worktrees/one/HEAD": "ref: refs/heads/b",
          "shared/worktrees/one/commondir": "../..", "shared/refs/heads/b": DIGEST}, DIGEST),
        ({".git/HEAD": "ref: refs/heads/main"}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_commit_is_found_where_git_has_it(tmp_path, files, wanted):
    """Detached, on a branch, packed, in a further work tree; without commits, without Git."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")
    assert environment.commit(tmp_path) == wanted
