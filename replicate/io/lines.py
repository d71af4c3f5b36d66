"""Bytes to lines of text: encoding, line ends, compression, and files that are not text.

Nothing is guessed in silence: what is not plain UTF-8 stands in a list of notes.
"""

import codecs
import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, NamedTuple, cast

from .errors import InputError, unreadable

__all__ = ["LIMIT", "Form", "Member", "Text", "form_of", "lines_of", "readable"]

#: Most characters of a line, of a row of a table, and of a text.
LIMIT = 4 << 20
_BLOCK = 1 << 20

# Of text in a Western language, at most 5 % of the letters are outside ASCII
# (French, Portuguese); of Cyrillic or Japanese taken for Windows-1252, most.
_WESTERN = 0.10

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: First bytes of files that are not text, and what to do instead.
_FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook; save the sheet as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save the sheet as CSV (UTF-8)"),
    (b"PAR1", "a Parquet file; save it as JSON Lines"),
    (b"BZh", "packed with bzip2; unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "packed with xz; unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd; unpack it, or pack it with gzip"),
    (b"%PDF", "a PDF; save its text as UTF-8"),
    (b"SQLite format 3", "a database; export a table as CSV (UTF-8)"),
)
_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html[\s>])", re.IGNORECASE)


class Text(NamedTuple):
    """A text, its label, its line, its place for messages, and its part of an official split.

    The label or the part is "" where a text has no such thing.
    """

    text: str
    label: str
    line: int
    place: str
    part: str = ""


class Member(NamedTuple):
    """A file in memory, out of an archive; it is read as a path is."""

    name: str
    data: bytes
    archive: str

    def __str__(self) -> str:
        return f"{self.archive}: {self.name}"

    def is_file(self) -> bool:
        """True, as of a path."""
        return True


class Form(NamedTuple):
    """How the bytes of a text file are to be read."""

    encoding: str
    end: str


class _Look(NamedTuple):
    """What a file holds: see :func:`_looked_through`."""

    bad: int
    end: str = ""
    ends: int = 0
    lone: int = 0
    first: int = 0
    quotes: bool = False


def form_of(
    path: Path | Member,
    notes: list[str],
    western: bool = False,
    line: Literal["text", "row", "part"] = "part",
) -> Form:
    """Look through a whole file: its encoding and its line ends.

    Args:
        path: the file, packed with gzip or not.
        notes (list of str): grows where it is not plain UTF-8.
        western (bool): take Windows-1252 where it is not UTF-8.
        line (str): what a line is: a text, or a row of a table, of which a CR alone may have
            joined several; or a part of a text or an object, where a CR is a blank.

    Raises:
        InputError: for a file that is not text, text of another encoding, or more CRs alone
            within lines than line ends.

    Example:
        >>> form_of(Member("x.txt", b"caf\\xe9 noir", "x.tar"), notes := [], western=True), notes
        (Form(encoding='cp1252', end='\\n'), ['x.txt: read as Windows-1252, for line 1 is not UTF-8'])
    """
    if not path.is_file():
        raise InputError(f"{path}: not a file; check the name")
    with readable(path):
        with _opened(path) as file:
            head = file.read(_BLOCK)
        for start, kind in _FOREIGN:
            if head.startswith(start):
                raise InputError(f"{path}: {kind}")
        if _PAGE.match(head):
            raise InputError(f"{path}: a web page, not a file of texts; fetch it again")
        encoding = next((e for mark, e in _MARKS.items() if head.startswith(mark)), "utf-8")
        look = _looked_through(path, encoding)
        bad = look.bad
        if bad and encoding != "utf-8":
            raise InputError(f"{path}: damaged {encoding.upper()}; save it as UTF-8")
        if bad and not western:
            raise InputError(f"{path}: line {bad} is not UTF-8; save it as UTF-8")
        if bad:
            look = _looked_through(path, "cp1252")
            if look.bad:
                raise InputError(
                    f"{path}: line {look.bad} is neither UTF-8 nor Windows-1252; save it as UTF-8"
                )
            encoding = "cp1252"
            share, others = _outside_ascii(path)
            if share > _WESTERN and others >= 20:
                raise InputError(
                    f"{path}: line {bad} is not UTF-8, and {share:.0%} of the letters are outside "
                    "ASCII, which no Western text has; save it as UTF-8"
                )
            notes.append(f"{path.name}: read as Windows-1252, for line {bad} is not UTF-8")
        elif encoding != "utf-8":
            notes.append(f"{path.name}: read as {encoding.upper()}")
        if look.end == "\r":
            notes.append(f"{path.name}: lines end in CR")
        elif look.lone and line != "part":
            # In quotes a CR is a character of a field, and a table may hold any number of them.
            if look.lone > look.ends and not (line == "row" and look.quotes):
                raise InputError(
                    f"{path}: line {look.first}: CRs alone within lines: {look.lone:,}, but LFs: "
                    f"{look.ends:,}; save it with LF or CRLF after every {line}"
                )
            notes.append(
                f"{path.name}: CRs alone within lines, read as blanks: {look.lone:,} "
                f"(first in line {look.first})"
            )
    return Form(encoding, look.end)


# CRs that have characters of one line before and behind them.
_LONE = re.compile(r"(?<=[^\r\n])\r+(?=[^\r\n])")


def _looked_through(path: Path | Member, encoding: str) -> _Look:
    """The line of the first byte that is not of an encoding, or 0; and the line ends.

    They are: the line end; of LF, how many there are, how many CRs stand alone within lines, and
    the line of the first; whether a quote is anywhere.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    number, length = 1, 0
    found: set[str] = set()
    lone = first = 0
    quotes = False
    held = ""  # of the block before: its last character, and a CR that what follows decides on
    with _opened(path) as file:
        block = None
        while block != b"":
            block = file.read(_BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return _Look(number + error.object[: error.start].count(b"\n"))
            if "\0" in text:
                number += text[: text.index("\0")].count("\n")
                raise InputError(
                    f"{path}: line {number} is not text, or is UTF-16 without a mark "
                    "(it holds NUL); save it as UTF-8"
                )
            quotes = quotes or '"' in text
            near = held + text
            if near.count("\r") > near.count("\r\n"):
                alone = [match.start() for match in _LONE.finditer(near)]
                if alone and not first:
                    first = number + near.count("\n", 0, alone[0])
                lone += len(alone)
            before = near.rstrip("\r")
            held = before[-1:].strip("\n") and before[-1] + "\r" * (before != near)
            number += text.count("\n")
            ends = {end for end in "\r\n" if end in text}
            found |= ends
            length = 0 if ends else length + len(text)
            if length > LIMIT:  # here already, for a small packed file may be very long
                raise _too_long(path, number)
    return _Look(0, "\r" if found == {"\r"} else "\n", number - 1, lone, first, quotes)


def _too_long(path: Path | Member, number: int) -> InputError:
    return InputError(f"{path}: line {number} is longer than {LIMIT:,} characters; cut it")


def _outside_ascii(path: Path | Member) -> tuple[float, int]:
    """Share and number of the letters of a file that are outside ASCII, counted in bytes."""
    counts = [0, 0]
    with _opened(path) as file:
        while block := file.read(_BLOCK):
            for i, letters in enumerate((_LETTERS, _OTHER_LETTERS)):
                counts[i] += len(block) - len(block.translate(None, letters))
    return counts[1] / max(1, sum(counts)), counts[1]


_LETTERS = bytes(range(ord("A"), ord("Z") + 1)) + bytes(range(ord("a"), ord("z") + 1))
_OTHER_LETTERS = bytes(range(0xC0, 0x100))  # where Windows-1252 has its own


def _opened(path: Path | Member) -> IO[bytes]:
    """A file for reading bytes, unpacked where gzip packed it, whatever its name."""
    if isinstance(path, Member):
        return io.BytesIO(path.data)
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        return cast(IO[bytes], gzip.open(path, "rb"))
    return open(path, "rb")


@contextlib.contextmanager
def readable(path: object) -> Iterator[None]:
    """Errors of reading a file as one clear line."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error) or InputError(
            f"{path}: cannot be read ({error}); is it whole?"
        ) from None


def lines_of(path: Path | Member, form: Form) -> Iterator[str]:
    """Lines of a text file without their ends; a CR alone within a line is a blank.

    Raises:
        InputError: for a line of more than :data:`LIMIT` characters, or damage.

    Example:
        >>> list(lines_of(Member("x.txt", b"one\\r\\ntwo\\n", "x.tar"), Form("utf-8", "\\n")))
        ['one', 'two']
    """
    decoder = codecs.getincrementaldecoder(form.encoding)()
    with readable(path), _opened(path) as file:
        rest, number, block = "", 0, None
        while block != b"":
            block = file.read(_BLOCK)
            *lines, rest = (rest + decoder.decode(block, final=not block)).split(form.end)
            if rest and (not block or len(rest) > LIMIT):
                lines.append(rest)
            for line in lines:
                number += 1
                if len(line) > LIMIT:
                    raise _too_long(path, number)
                # U+FEFF: the mark of a file's beginning, in the middle where files were joined.
                yield line.lstrip("\ufeff").removesuffix("\r").replace("\r", " ")
