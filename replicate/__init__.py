"""Instability of word saliency in a Kim-style CNN: a replication with verdicts.

The modules follow the paper's method section: :mod:`~replicate.corpus`
(section 5.1), :mod:`~replicate.vectors` (5.3), :mod:`~replicate.split` (4.2),
:mod:`~replicate.model` (Fig. 2), :mod:`~replicate.saliency` (eqs 4-6),
:mod:`~replicate.recorder` (4.3.1), :mod:`~replicate.training` (4.3),
:mod:`~replicate.instability` (eqs 7-10), :mod:`~replicate.selection` (4.3.3),
:mod:`~replicate.experiment` (4), :mod:`~replicate.statistics`, :mod:`~replicate.claims` and
:mod:`~replicate.verdicts` (5-6).

The names in ``__all__`` cover most uses.  A module is imported when its name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .environment import set_surroundings

if TYPE_CHECKING:
    from .config import Config as Config
    from .corpus import Corpus as Corpus
    from .corpus import read_corpus as read_corpus
    from .experiment import conclude as conclude
    from .instability import sentence_instability as sentence_instability
    from .instability import word_instability as word_instability
    from .io.errors import InputError as InputError
    from .parallel.schedule import run_experiment as run_experiment
    from .recorder import SaliencyRecorder as SaliencyRecorder
    from .results import Results as Results
    from .results import load_results as load_results
    from .run import Run as Run
    from .saliency import token_saliency as token_saliency
    from .show.explain import explain as explain
    from .verdicts import judge as judge

__version__ = "1.1.0"

set_surroundings()

#: Public name -> the module that defines it.
_HOME = {
    "Config": "config",
    "Corpus": "corpus",
    "InputError": "io.errors",
    "Results": "results",
    "Run": "run",
    "SaliencyRecorder": "recorder",
    "conclude": "experiment",
    "explain": "show.explain",
    "judge": "verdicts",
    "load_results": "results",
    "read_corpus": "corpus",
    "run_experiment": "parallel.schedule",
    "sentence_instability": "instability",
    "token_saliency": "saliency",
    "word_instability": "instability",
}

__all__ = [
    "Config",
    "Corpus",
    "InputError",
    "Results",
    "Run",
    "SaliencyRecorder",
    "conclude",
    "explain",
    "judge",
    "load_results",
    "read_corpus",
    "run_experiment",
    "sentence_instability",
    "token_saliency",
    "word_instability",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'replicate' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
