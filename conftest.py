"""Names that the docstrings' examples use; compat is imported before anything of Chainer."""

import os
import tempfile

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


@pytest.fixture(autouse=True)
def examples(doctest_namespace):
    """What an example may use without importing it."""
    names = [Config, InputError, generator, Corpus, TextCNN, flat_batch, word_saliency]
    doctest_namespace["np"] = np
    doctest_namespace["tempfile"] = tempfile
    doctest_namespace["chainer"] = compat.chainer
    doctest_namespace.update({name.__name__: name for name in names})
