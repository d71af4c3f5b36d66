"""Tables and JSON Lines: labels and texts, by the names of their columns."""

import json

import pytest

from replicate.io.errors import InputError
from replicate.io.tables import json_lines, table


def rows(path, data, separator=",", labelled=True):
    """Label and text of each row of a table that is written first."""
    path.write_text(data, encoding="utf-8")
    return [(row.label, row.text) for row in table(path, [], separator, labelled=labelled)]


@pytest.mark.parametrize(
    "data",
    [
        "label,text\n1,good\n0,bad\n",
        "text,label\ngood,1\nbad,0\n",
        "id,text,label\n7,good,1\n8,bad,0\n",
    ],
)
def test_columns_are_found_by_name(data, tmp_path):
    assert rows(tmp_path / "x.csv", data) == [("1", "good"), ("0", "bad")]


def test_a_quoted_cell_may_hold_separators_quotes_and_line_ends(tmp_path):
    data = 'label,text\n1,"a, ""b""\nc"\n'
    assert rows(tmp_path / "x.csv", data) == [("1", 'a, "b"\nc')]


def test_json_lines_by_name(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(json.dumps({"text": t, "label": n}) for n, t in enumerate("ab")))
    assert [(row.label, row.text) for row in json_lines(path, [], True)] == [("0", "a"), ("1", "b")]


@pytest.mark.parametrize("data", ['{"text": "a"}', '{"label": NaN, "text": "a"}', "{"])
def test_json_that_is_no_labelled_text_is_refused(data, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(data)
    with pytest.raises(InputError, match=r"line 1"):
        list(json_lines(path, [], True))


def test_one_json_array_is_not_json_lines(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("[1, 2]")
    with pytest.raises(InputError, match="one JSON array; save it as JSON Lines"):
        list(json_lines(path, [], True))
