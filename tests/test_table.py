"""The small table: rows by name, columns by name, and how it is displayed."""

from replicate.io.table import SHOWN, Table

ROWS = [("<b>", 0.5), ("film", 0.25)]


def test_rows_and_columns_by_name():
    table = Table(("word", "wac"), ROWS)
    assert list(table) == [{"word": "<b>", "wac": 0.5}, {"word": "film", "wac": 0.25}]
    assert table["word"] == ["<b>", "film"] and table["wac"] == [0.5, 0.25] and len(table) == 2


def test_html_shows_a_word_and_never_runs_it():
    page = Table(("word", "wac"), ROWS)._repr_html_()
    assert "&lt;b&gt;" in page and "<b>" not in page


def test_a_long_table_is_cut_on_the_screen_only():
    rows = [(f"w{n}",) for n in range(SHOWN + 1)]
    table = Table(("word",), rows)
    assert f"w{SHOWN - 1}" in repr(table) and f"w{SHOWN}" not in repr(table).split()
    assert len(table) == SHOWN + 1 and table["word"][-1] == f"w{SHOWN}"
