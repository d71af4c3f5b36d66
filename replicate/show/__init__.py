"""Figures, report, explorer and explanations of a finished run."""
