"""Figures, report, word explorer and explained texts of a finished run."""
