"""The README's lines of Python, as they stand there."""

import doctest
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


def examples(text):
    """All examples of a page as one doctest."""
    return doctest.DocTestParser().get_doctest(text, {}, "README", str(README), 0)


@pytest.mark.slow
def test_the_lines_of_python_run(tmp_path, monkeypatch):
    """Pasted one after another into a fresh session, they give what the page shows."""
    monkeypatch.chdir(tmp_path)
    found = examples(README.read_text(encoding="utf-8"))
    assert len(found.examples) >= 9
    assert doctest.DocTestRunner(verbose=False).run(found).failed == 0
    assert (tmp_path / "out/sample/report.html").is_file()


def test_a_wrong_line_is_noticed(capsys):
    """Twin: an output that is not what the line gives fails."""
    assert doctest.DocTestRunner(verbose=False).run(examples(">>> 1 + 1\n3\n")).failed == 1
    assert "Got" in capsys.readouterr().out
