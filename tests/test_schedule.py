"""What is unfinished of a run, over worker processes: what is done, in which order, and what is not."""

import shutil

import numpy as np
import pytest
from samples import BAD_JOBS, BAD_SEEDS

from replicate.config import ARMS, Config
from replicate.experiment import prepare, run_seed
from replicate.parallel import schedule
from replicate.parallel.pool import Outcome
from replicate.parallel.schedule import run_all, run_experiment
from replicate.run import Options, Run

CONFIG = Config(n_filters=3, epochs=3, batch_size=8, learning_rate=0.02)


@pytest.fixture(scope="module")
def prepared(corpus_file):
    """``prepared(folder, seeds)``: a run of which nothing is done."""

    def make(folder, seeds=(0,)):
        return prepare(
            folder, CONFIG, Options(), list(seeds), [corpus_file], "random", dimensions=6
        )

    return make


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """Seeds 0 and 1, one stage after another in this process."""
    run = prepared(tmp_path_factory.mktemp("whole") / "run", (0, 1))
    for seed in run.seeds:
        run_seed(run, seed)
    return run


def files_of(run):
    """Relative name -> bytes of all files that must repeat."""
    return {
        str(p.relative_to(run.out)): p.read_bytes()
        for p in sorted(run.out.rglob("*"))
        if p.is_file() and p.name not in (".replicate.lock", "run.log", "timing.json")
    }


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 3])
def test_the_number_of_jobs_does_not_matter(jobs, whole, prepared, tmp_path):
    """Warm workers, one or three at once: the bytes of one stage after another."""
    run = prepared(tmp_path / "run", (0, 1))
    reported = []
    outcome = run_all(run, jobs, lambda name, message: reported.append((name, message)))
    assert not outcome.failures and outcome.peak_memory > 1e6
    assert files_of(run) == files_of(whole)
    for seed in (0, 1):
        for arm in ARMS:
            epochs = [m[0] for name, m in reported if name == (seed, arm) and m != "done"]
            assert epochs == [1, 2, 3] and reported.count(((seed, arm), "done")) == 1


@pytest.fixture
def planned(monkeypatch):
    """``planned(run)``: name -> what it waits for, in order, of the tasks that would be run."""

    def plan(run):
        found = []

        def keep(groups, *arguments):
            found.extend(groups)
            return Outcome({task.name: "not run" for group in groups for task in group})

        monkeypatch.setattr(schedule, "run_shares", keep)
        run_all(run)
        assert all(len({task.name[0] for task in group}) <= 1 for group in found)
        return {task.name: task.after for group in found for task in group}

    return plan


def test_only_what_is_unfinished_is_done(whole, planned, tmp_path):
    """A finished run has no task; an arm without its marker is one, and waits for nothing."""
    assert planned(whole) == {}
    run = Run(shutil.copytree(whole.out, tmp_path / "run"))
    (run.folder(1, "T2h") / "stage.json").unlink()
    assert planned(run) == {(1, "T2h"): ()}


def test_arms_that_need_scores_wait_for_the_first_phase(whole, planned, tmp_path):
    """Without T1 they are done again, and after it; the arms that need no score are left alone."""
    run = Run(shutil.copytree(whole.out, tmp_path / "run"))
    (run.folder(0, "T1") / "stage.json").unlink()
    tasks = planned(run)
    assert tasks.pop((0, "T1")) == ()
    scored = {(0, arm) for arm in ARMS} - {(0, arm) for arm in ("T1", "T1andT2", "T1andT2ran")}
    assert tasks == dict.fromkeys(scored, ((0, "T1"),))
    # The short ones last.
    assert [name[1][:3] for name in tasks][-2:] == ["T2h", "T2l"]


@pytest.mark.slow
def test_a_seed_with_a_failure_is_not_finished(whole, prepared, monkeypatch, tmp_path):
    """Its accuracy.csv is not written; the other seed's is; the next call does what is missing."""
    run = prepared(tmp_path / "run", (0, 1))
    real = schedule.run_shares

    def spoilt(groups, *arguments):
        for group in groups:
            for i, task in enumerate(group):
                if task.name == (1, "T2h"):
                    group[i] = task._replace(function=len, arguments=())
        return real(groups, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(schedule, "run_shares", spoilt)
        outcome = run_all(run, 2)
    assert list(outcome.failures) == [(1, "T2h")]
    assert (run.seed_folder(0) / "accuracy.csv").exists() and not (
        run.seed_folder(1) / "accuracy.csv"
    ).exists()
    assert run_all(run, 2).failures == {}
    assert files_of(run) == files_of(whole)


# --- the front door --------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """``asked(**options)``: the seeds and jobs with which a run of the sample would be trained."""
    found = []

    def keep(run, jobs, *_):
        found.append((run.seeds, jobs))
        return Outcome()

    monkeypatch.setattr(schedule, "run_all", keep)
    monkeypatch.setattr(schedule, "conclude", lambda run: [])

    def ask(**options):
        run = run_experiment("sample", **{"out": tmp_path / "run", "epochs": 3, **options})
        assert Run(run.out).seeds == run.seeds
        return found.pop()

    return ask


@pytest.mark.parametrize(
    "options",
    [{"seeds": seeds} for seeds in BAD_SEEDS]
    + [{"jobs": jobs} for jobs in BAD_JOBS if jobs is not None],
    ids=str,
)
def test_bad_seeds_and_jobs_change_nothing(options, asked, tmp_path, refused):
    """Before, the seed stood in config.json, and the run could not be read again."""
    (name,) = options
    with refused(f"{name} = "):
        asked(**options)
    assert not (tmp_path / "run").exists()
    assert asked(seeds=1, jobs=1) == ([0], 1)
    before = (tmp_path / "run" / "config.json").read_bytes()
    with refused(f"{name} = "):
        asked(**options)
    assert (tmp_path / "run" / "config.json").read_bytes() == before
    assert asked(seeds=1, jobs=1) == ([0], 1)


def test_seeds_and_jobs_may_be_numpys(asked, monkeypatch, tmp_path):
    assert asked(seeds=np.int64(2), jobs=np.int64(3)) == ([0, 1], 3)
    monkeypatch.setattr(schedule.os, "cpu_count", lambda: 5)
    assert asked(seeds=np.array([2]), jobs=None) == ([0, 1, 2], 5)


def test_one_path_is_a_corpus(asked, corpus_file, monkeypatch):
    """A text was taken apart into letters, a Path was no list."""
    seen = []
    real = schedule.prepare
    monkeypatch.setattr(schedule, "prepare", lambda *a: seen.append(a[4]) or real(*a))
    for corpus in (str(corpus_file), corpus_file, [corpus_file]):
        assert asked(corpus=corpus, vectors="random", jobs=1) == ([0], 1)
    assert seen == 3 * [[corpus_file]]
