"""Tables and JSON Lines: labels and texts, by the names of their columns."""

import gzip
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


@pytest.mark.parametrize(
    "name, separator, data",
    [
        ("x.csv", ",", "label,text\n1,good\nlabel,text\n0,bad\n\ufefflabel,text\n1,fine\n"),
        ("x.csv", ",", '"label","text"\n1,good\nlabel,text\n0,bad\n"label","text"\r\n1,fine'),
        ("x.tsv", "\t", "label\ttext\n1\tgood\nlabel\ttext\n0\tbad\nlabel\ttext\n1\tfine\n"),
        ("x.csv", ",", "sep=;\nlabel;text\n1;good\nsep=;\nlabel;text\n0;bad\n1;fine\n"),
    ],
)
def test_a_header_again_is_not_a_row(name, separator, data, tmp_path):
    """Files put together by cat: the header is not a label with a text."""
    path = tmp_path / name
    path.write_text(data, encoding="utf-8")
    notes = []
    found = [(row.label, row.text) for row in table(path, notes, separator, labelled=True)]
    assert found == [("1", "good"), ("0", "bad"), ("1", "fine")]
    line = data[: data.index("good")].count("\n") + 2
    assert notes[-1] == f"{name}: headers within the table passed over: 2 (first in line {line})"


def test_a_header_again_in_a_member_of_gzip(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(gzip.compress(b"label,text\n1,a\n") + gzip.compress(b"label,text\n0,b\n"))
    notes = []
    found = [(row.label, row.text) for row in table(path, notes, ",", labelled=True)]
    assert found == [("1", "a"), ("0", "b")] and "(first in line 3)" in notes[0]


def test_rows_like_a_header_are_rows(tmp_path):
    """Twin: one of its names, or both as one text, is a text as any other; there is no note."""
    path = tmp_path / "x.csv"
    path.write_text("label,text\n1,text\nlabel,good\nLabel,Text\n0,label text\n")
    notes = []
    found = [(row.label, row.text) for row in table(path, notes, ",", labelled=True)]
    assert [text for _, text in found] == ["text", "good", "Text", "label text"] and not notes


def test_a_header_of_another_order_is_refused(tmp_path, refused):
    """The rows after it would have texts for labels."""
    with refused(tmp_path / "x.csv", "line 3", "another order of columns"):
        rows(tmp_path / "x.csv", "label,text\n1,good\ntext,label\nbad,0\n")


@pytest.mark.parametrize("header", ['"label","body text"', '"label";"body text"', "label,note"])
def test_the_missing_column_is_named(header, tmp_path, refused):
    """A header in quotes is parted as a row: its label is found, its text is not."""
    with refused(tmp_path / "x.csv", "line 1", "no column 'text'"):
        rows(tmp_path / "x.csv", f"{header}\n")
    with refused(tmp_path / "x.csv", "line 1", "no column 'label'"):
        rows(tmp_path / "x.csv", header.replace("label", "mark") + "\n")
