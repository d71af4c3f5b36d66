"""Tables and JSON Lines: rows with a text, and a label where one is wanted."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError, shorten
from .lines import LIMIT, Form, Text, form_of, lines_of

__all__ = ["LABEL_COLUMNS", "TEXT_COLUMNS", "json_lines", "table"]

#: Common names of the column of texts, the first preferred.
TEXT_COLUMNS = (
    "text texts sentence review comment content document body tweet message utterance question "
    "phrase"
).split()

# The column of an official split, and the names of its parts, as they are stored.
_PART_COLUMN = "split"
_PARTS = {"train": "train", "dev": "dev", "valid": "dev", "validation": "dev", "test": "test"}

#: Common names of the column of labels, the first preferred.
LABEL_COLUMNS = (
    "label labels class category sentiment polarity target rating stars score y"
).split()

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def table(path: Path, notes: list[str], separator: str, labelled: bool) -> Iterator[Text]:
    """Rows of a table as pandas, Excel and GLUE write it.

    A field may stand in quotes with inner quotes doubled, and then hold
    separators and line ends (RFC 4180).  In a file with tabs that is not
    quoted so, a quote is a character as any other, and a row is a line.

    Args:
        path: the file, with a header.
        notes (list of str): grows where the header is not ``label`` and
            ``text`` or the separator not the one of the name.
        separator (str): the one that the file's name promises.
        labelled (bool): whether a column of labels must be there.

    Raises:
        InputError: for a missing column, two columns that could be meant, a
            row of another width, a row without a label, or a second header of
            another order; one of the same order is passed over, with a note.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "x.csv"
        >>> _ = place.write_text('Review;label\\n"good; fine";1\\n')
        >>> notes = []
        >>> [(row.label, row.text) for row in table(place, notes, ",", labelled=True)]
        [('1', 'good; fine')]
        >>> notes
        ['x.csv: parted by semicolons', "x.csv: column 'Review' taken as text"]
    """
    form = form_of(path, notes, line="row")
    lines = enumerate(lines_of(path, form), start=1)
    head, first = next(((n, line) for n, line in lines if line.strip()), (0, ""))
    if not first:
        raise InputError(f"{path}: empty; a header and texts are needed")
    heads = [first]
    if excel := re.fullmatch(r'"?sep=(.)"?', first, re.IGNORECASE):
        separator = excel[1]
        head, first = next(lines, (head + 1, ""))
        heads.append(first)
    separator, width, text_at, label_at = _header(path, notes, head, first, separator, labelled)
    part_at = _part_column(first, separator)
    # Where files were joined, the first lines of each stand among the rows.
    heads_again = [next(csv.reader([line], delimiter=separator)) for line in heads]
    names, again = heads_again[-1], []
    rows = _quoted_rows(path, form, separator)
    if separator == "\t" and not _is_quoted(path, form, width, head):
        rows = _plain_rows(path, form, width)
    for number, row, _ in rows:
        if number <= head or not any(map(str.strip, row)):
            continue
        if row in heads_again:
            again.append(number)
            continue
        if sorted(row) == sorted(names):
            raise InputError(
                f"{path}: line {number} is a header of another order of columns; give all parts "
                "of the table one order, and then join them"
            )
        if len(row) != width:
            raise InputError(
                f"{path}: line {number} has {len(row)} fields, the header {width}, "
                f"parted by {_SEPARATORS.get(separator, separator)}; correct that line"
            )
        label = "" if label_at is None else " ".join(row[label_at].split())
        if labelled and not label:
            raise InputError(f"{path}: line {number} has no label; give it one")
        part = "" if part_at is None else _PARTS.get(row[part_at].strip().casefold(), "")
        yield Text(row[text_at], label, number, f"{path}: line {number}", part)
    if again:
        notes.append(
            f"{path.name}: headers within the table passed over: {len(again)} "
            f"(first in line {again[0]})"
        )


def _part_column(line: str, separator: str) -> int | None:
    """Where a header has the column of an official split, or None."""
    names = [cell.strip().casefold() for cell in next(csv.reader([line], delimiter=separator))]
    return names.index(_PART_COLUMN) if names.count(_PART_COLUMN) == 1 else None


def _header(
    path: Path, notes: list[str], number: int, line: str, separator: str, labelled: bool
) -> tuple[str, int, int, int | None]:
    """The separator and the width of a header, and where text and label stand in it."""
    no_label = labelled
    for tried in dict.fromkeys((separator, *_SEPARATORS)):
        try:
            cells = next(csv.reader([line], delimiter=tried, strict=True), [])
        except csv.Error:
            continue
        text_at = _column(path, number, cells, TEXT_COLUMNS)
        label_at = _column(path, number, cells, LABEL_COLUMNS)
        no_label = no_label and label_at is None
        if text_at is None or (labelled and label_at is None):
            continue
        if tried != separator:
            notes.append(f"{path.name}: parted by {_SEPARATORS[tried]}")
        for at, kind in ((text_at, "text"), (label_at, "label")):
            if at is not None:
                _note_name(path, notes, cells[at].strip(), kind)
        return tried, len(cells), text_at, label_at
    raise InputError(
        f"{path}: line {number} has no column {'label' if no_label else 'text'!r} "
        f"(it reads {shorten(line)}); a header with {'label and text' if labelled else 'text'} "
        "is needed"
    )


def _column(path: Path, number: int, cells: list[str], names: list[str]) -> int | None:
    """Where one of some names stands among the cells of a header, or None.

    Raises:
        InputError: where more than one could be meant.
    """
    small = [cell.strip().casefold() for cell in cells]
    for found in (
        [i for i, cell in enumerate(cells) if cell.strip() == names[0]],
        [i for i, cell in enumerate(small) if cell == names[0]],
        [i for i, cell in enumerate(small) if cell in names],
    ):
        if len(found) > 1:
            both = " and ".join(shorten(cells[i].strip()) for i in found[:2])
            raise InputError(
                f"{path}: line {number}: the columns {both} could both be the {names[0]}; "
                f"rename one to {names[0]}"
            )
        if found:
            return found[0]
    return None


def _note_name(path: Path, notes: list[str], name: str, kind: str) -> None:
    if name != kind:
        notes.append(f"{path.name}: column {shorten(name)} taken as {kind}")


def _quoted_rows(
    path: Path, form: Form, separator: str
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Rows by RFC 4180: the line of each row's end, its fields, and its lines."""
    taken: list[str] = []
    length = number = 0

    def lines() -> Iterator[str]:
        nonlocal length
        for line in lines_of(path, form):
            taken.append(line)
            length += len(line)
            if length > LIMIT:
                raise csv.Error(f"a row is longer than {LIMIT:,} characters")
            yield line + "\n"

    reader = csv.reader(lines(), delimiter=separator, strict=True)
    try:
        while (row := _next_row(reader)) is not None:
            number = reader.line_num
            yield number, row, taken
            taken.clear()
            length = 0
    except csv.Error as error:
        raise InputError(f"{path}: after line {number}: {error}; correct that line") from None


def _next_row(reader: Iterator[list[str]]) -> list[str] | None:
    """The next row, whose fields may be long; csv has one limit for all readers of a process."""
    before = csv.field_size_limit(LIMIT)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(before)


def _is_quoted(path: Path, form: Form, width: int, head: int) -> bool:
    """Whether all rows of a table with tabs are as RFC 4180 says, and as wide as the header."""
    try:
        for number, row, lines in _quoted_rows(path, form, "\t"):
            if number > head and row and len(row) != width:
                return False
            # A quote in each of two lines: they are rows where each is as wide as the header.
            if len(lines) > 1 < width and all(line.count("\t") + 1 == width for line in lines):
                return False
    except InputError:
        return False
    return True


def _plain_rows(path: Path, form: Form, width: int) -> Iterator[tuple[int, list[str], list[str]]]:
    """A row a line, unquoted where that leaves the width of the header."""
    for number, line in enumerate(lines_of(path, form), start=1):
        if '\\"' in line and re.search('(^|\t)"', line):
            raise InputError(
                f"{path}: line {number}: a quote after a backslash; save the table with "
                "quotes doubled, as pandas and Excel do"
            )
        row = _next_row(csv.reader([line], delimiter="\t")) or []
        yield number, row if len(row) == width else line.split("\t"), [line]


def json_lines(path: Path, notes: list[str], labelled: bool) -> Iterator[Text]:
    """An object a line, as ``to_json(orient="records", lines=True)`` of pandas writes it.

    Args:
        path, notes, labelled: as of :func:`table`; the names of the first
            object count.

    Raises:
        InputError: for a line that is not an object, or lacks its text or label.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "x.jsonl"
        >>> _ = place.write_text('{"label": 1, "text": "good film"}')
        >>> [(row.label, row.text) for row in json_lines(place, [], labelled=True)]
        [('1', 'good film')]
    """
    names: list[str | None] = []
    for number, line in enumerate(lines_of(path, form_of(path, notes)), start=1):
        place = f"{path}: line {number}"
        if not line.strip():
            continue
        if not names and line.lstrip().startswith("["):
            raise InputError(f"{path}: one JSON array; save it as JSON Lines, one object a line")
        try:
            value = json.loads(line, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise InputError(f"{place} is not JSON; write one object a line") from None
        if not isinstance(value, dict):
            raise InputError(f"{place} is not a JSON object; write one object a line")
        if not names:
            cells = list(value)
            for known in (TEXT_COLUMNS, LABEL_COLUMNS):
                at = _column(path, number, cells, known)
                names.append(None if at is None else cells[at])
                if at is not None:
                    _note_name(path, notes, cells[at], known[0])
        text, label = (None if name is None else value.get(name) for name in names)
        if isinstance(label, (bool, int, float)):
            label = json.dumps(label)
        label = " ".join(label.split()) if isinstance(label, str) else ""
        if not isinstance(text, str) or (labelled and not label):
            missing = "text" if not isinstance(text, str) else "label"
            raise InputError(f"{place} has no {missing!r} that is text; give it one")
        try:
            (text + label).encode()
        except UnicodeEncodeError:
            raise InputError(f"{place} holds half a character (\\ud800); correct it") from None
        if "\0" in text + label:  # as in the other formats: no array of words keeps it
            raise InputError(f"{place} holds NUL (\\u0000); remove it")
        text = text.replace("\r\n", "\n").replace("\r", " ")  # as in the other formats
        yield Text(text, label, number, place)


def _no_number(name: str) -> None:
    raise ValueError(name)
