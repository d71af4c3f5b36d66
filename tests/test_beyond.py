"""Figures of what the paper left open, drawn from made-up results."""

import numpy as np
import pytest
from test_rivals import made_up, table

from replicate import beyond, convergence, rivals
from replicate.storage import read_csv


def test_convergence_draws_the_means_of_every_phase(tmp_path):
    """The CSV has exactly what is drawn: a row a statistic and phase."""
    rows = table(0.3)
    place = beyond.draw_convergence(rows, tmp_path / "convergence", "made up")
    assert place.read_bytes().startswith(b"\x89PNG")
    header = ("statistic", "phase", "seeds", "mean", "low", "high")
    drawn = read_csv(tmp_path / "convergence.csv", header, dict.fromkeys(header[2:], float))
    phases = ("T1", *convergence.ARMS_ASKED)
    assert [(r["statistic"], r["phase"]) for r in drawn] == [
        (kind, phase) for kind in ("gap", "late") for phase in phases
    ]
    for row in drawn:
        values = [r[f"{row['statistic']}.{row['phase']}"] for r in rows]
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["seeds"] == 10 and row["low"] < row["mean"] < row["high"]


def test_rivals_are_drawn(tmp_path):
    """Other gains, another picture; the same gains, the same."""
    names, pictures = ("a", "b", "c"), []
    for name, gain in zip(names, (0.02, 0.02, -0.02)):
        rows = rivals.compare(made_up(tmp_path / name, gain), range(8))
        pictures.append(beyond.draw_rivals(rows, tmp_path / f"{name}-drawn", "made up").read_bytes())
    assert pictures[0].startswith(b"\x89PNG")
    assert pictures[0] == pictures[1] != pictures[2]
