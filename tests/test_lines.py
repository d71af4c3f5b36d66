"""Bytes to lines: encodings, line ends, gzip, and files that are not text."""

import gzip

import pytest

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
