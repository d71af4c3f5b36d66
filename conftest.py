"""Names that the docstrings' examples use; compat is imported before anything of Chainer."""

import functools
import os
import tempfile
from pathlib import Path

# One thread of the matrix library, as the program's workers have: bits depend on
# it.  It is read once, when NumPy is imported.
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import pytest

from replicate.config import Config, generator
from replicate.corpus import Corpus
from replicate.fast import compat
from replicate.io.errors import InputError
from replicate.model import TextCNN
from replicate.saliency import flat_batch, word_saliency

# --- nothing is left in the repository ------------------------------------------------

#: Folders that pytest and the tools for development make themselves, or that are for results.
EXPECTED = {".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__", "out"}


def names():
    """What is in the repository's root."""
    return set(os.listdir(Path(__file__).parent)) - EXPECTED


BEFORE = names()


def pytest_sessionfinish(session):
    left = names() - BEFORE
    if left and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nFAILED: a test left in the repository's root: {', '.join(sorted(left))}")


# --- what examples use -----------------------------------------------------------------

#: Examples that carry out a whole run.
SLOW = {"replicate.parallel.schedule.run_experiment"}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.name in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def sample_run():
    """``sample_run()``: a finished run of 200 sentences, one seed and two epochs, made once."""
    with tempfile.TemporaryDirectory() as folder:

        @functools.cache
        def sample_run():
            # Inside, because most tests need no run.
            from replicate.config import PRESETS
            from replicate.corpus import sample_path
            from replicate.experiment import prepare, run_seed
            from replicate.run import Options

            corpus, vectors = sample_path()
            config = PRESETS["sample"].replace(epochs=3)
            out = os.path.join(folder, "run")
            run = prepare(out, config, Options(), [0], [corpus], vectors, "sample")
            run_seed(run, 0)
            return run

        yield sample_run


@pytest.fixture(autouse=True)
def _no_gensim_data(tmp_path_factory, monkeypatch):
    """No test and no example reads what gensim has downloaded, or downloads into that folder."""
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path_factory.getbasetemp() / "gensim-data"))


@pytest.fixture(autouse=True)
def examples(doctest_namespace, sample_run):
    """What an example may use without importing it."""
    names = [Config, InputError, generator, Corpus, TextCNN, flat_batch, word_saliency, sample_run]
    doctest_namespace["np"] = np
    doctest_namespace["os"] = os
    doctest_namespace["tempfile"] = tempfile
    doctest_namespace["chainer"] = compat.chainer
    doctest_namespace.update({name.__name__: name for name in names})
