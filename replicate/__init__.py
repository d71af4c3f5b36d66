"""Word-saliency instability in a Kim-style CNN: a replication with verdicts.

The modules read like the paper's method section: :mod:`~replicate.corpus`
(section 5.1), :mod:`~replicate.vectors` (5.3), :mod:`~replicate.split` (4.2),
:mod:`~replicate.model` (Fig. 2), :mod:`~replicate.saliency` (eqs 4-6),
:mod:`~replicate.training` (4.3), :mod:`~replicate.instability` (eqs 7-10),
:mod:`~replicate.selection` (4.3.3), :mod:`~replicate.experiment` (4) and
:mod:`~replicate.claims` (5-6).
"""

__version__ = "1.0.0"
