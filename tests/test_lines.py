"""Bytes to lines: encodings, line ends, gzip, and files that are not text."""

import gzip

import pytest

from replicate.io import lines as reader
from replicate.io.errors import InputError
from replicate.io.lines import Member, form_of, lines_of


def lines(data, western=False):
    """The lines of bytes, without line ends, and the notes on them."""
    member, notes = Member("x.txt", data, "x.tar"), []
    form = form_of(member, notes, western=western)
    return [line.rstrip("\r\n") for line in lines_of(member, form)], notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_same_lines_whatever_the_bytes(encoding, end):
    text = end.join(["naïve film", "two", ""])
    assert lines(text.encode(encoding))[0] == ["naïve film", "two"]


def test_a_packed_file_gives_the_same_lines(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(b"one\ntwo\n"))
    form = form_of(path, notes := [])
    assert [line.rstrip("\n") for line in lines_of(path, form)] == ["one", "two"] and not notes


def test_western_bytes_are_read_only_with_a_note():
    assert lines(b"caf\xe9 noir\n", western=True)[0] == ["café noir"]
    assert lines(b"caf\xe9 noir\n", western=True)[1] and not lines(b"cafe noir\n", western=True)[1]
    with pytest.raises(InputError, match="UTF-8"):
        lines(b"caf\xe9 noir\n")


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"PAR1", b"BZh", b"%PDF", b"SQLite format 3"])
def test_what_is_not_text_is_refused(start):
    with pytest.raises(InputError, match="; "):
        lines(start + b" and more\n")
    assert lines(b"x" + start.replace(b"\x03\x04", b"") + b" and more\n")[0]


def noted(data, line="text"):
    """The notes on bytes whose lines are texts, or rows."""
    form_of(Member("x.txt", data, "x.tar"), notes := [], line=line)
    return notes


@pytest.mark.parametrize("block", [1, 2, 3, 7, None])
@pytest.mark.parametrize("line", ["text", "row"])
def test_lone_crs_are_counted(block, line, monkeypatch):
    """Texts that a CR joins are not joined in silence, however the file is cut into blocks."""
    if block:
        monkeypatch.setattr(reader, "_BLOCK", block)
    data = b"zero\r\ngood one\rfine two\rwarm three\nlast four\r\n"
    told = "x.txt: CRs alone within lines, read as blanks: 2 (first in line 2)"
    assert noted(data, line) == [told]
    assert noted(data.decode().encode("utf-8-sig"), line) == [told]


@pytest.mark.parametrize(
    "data",
    [
        b"one\ntwo\n", b"one\r\ntwo\r\n", b"one\r\r\ntwo\r\r\n", b"one\n\rtwo\n\r",
        b"one\ntwo\r", b"\r\none\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("block", [1, 2, None])
def test_crs_that_join_nothing_have_no_note(data, block, monkeypatch):
    """CRLF, a doubled CR, LFCR, a last CR."""
    if block:
        monkeypatch.setattr(reader, "_BLOCK", block)
    assert noted(data) == []


def test_more_lone_crs_than_line_ends_are_refused(refused):
    """A file of an old Mac to which one LF was added; in CR alone it is read as ever."""
    data = b"one\rtwo\rthree\rfour\n"
    for line in ("text", "row"):
        with refused("x.txt", "line 1", "CRs alone within lines: 3, but LFs: 1", "save it with LF"):
            noted(data, line)
    assert noted(data.replace(b"\n", b"\r")) == ["x.txt: lines end in CR"]
    assert noted(data.replace(b"two\r", b"two\n").replace(b"three\r", b"3\n"))[0].endswith(
        "line 1)"
    )


def test_crs_in_quotes_or_within_one_text_are_characters(refused):
    """A field in quotes, a file that is one text: any number of CRs joins nothing."""
    data = b'text\n"one\rtwo\rthree\rfour"\n'
    assert noted(data, "row") == [
        "x.txt: CRs alone within lines, read as blanks: 3 (first in line 2)"
    ]
    with refused("x.txt", "line 2"):
        noted(data, "text")
    assert noted(b"one\rtwo\rthree\n", "part") == []
