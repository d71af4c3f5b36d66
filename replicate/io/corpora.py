"""Formats of corpora: labelled texts out of files, a folder or an archive, one by one.

A reader knows nothing of words: what a text is made of is the corpus's concern.
"""

import csv
import functools
import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .data import POLARITY_FILES
from .errors import InputError
from .files import DAMAGED_TAR, sha256

__all__ = ["Text", "Texts", "labelled_texts", "polarity_archive", "read_table"]

# What is larger is no review, and no archive of two small files.
_ROW_LIMIT = 4 << 20
_ARCHIVE_LIMIT = 16 << 20
_MEMBER_LIMIT = 100


class Text(NamedTuple):
    """A text, its label ("" where it has none), its line, and its place for messages."""

    text: str
    label: str
    line: int
    place: str


class Texts:
    """The texts of a source, to be iterated over once.

    Attributes:
        where (str): the source, for messages.
        sha256 (dict): file name -> checksum.
    """

    def __init__(self, where: object, rows: Iterable[Text], sha256: dict) -> None:
        self.where = str(where)
        self.sha256 = sha256
        self._rows = rows

    def __iter__(self) -> Iterator[Text]:
        return iter(self._rows)


def labelled_texts(paths: Iterable) -> Texts:
    """Labelled texts of one or two paths; see :func:`replicate.corpus.read_corpus`.

    Raises:
        InputError: when a file is missing, empty, damaged or of another kind.
    """
    paths = [Path(path) for path in paths]
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file; check the name, or run `replicate fetch`")
    if len(paths) == 2:
        pair = sorted(paths, key=lambda path: path.suffix != ".pos")
        if [path.suffix for path in pair] != [".pos", ".neg"]:
            raise InputError(
                f"{paths[0]}, {paths[1]}: two files must be the pair .pos and .neg; "
                "name one file otherwise"
            )
        return _pair(pair)
    if len(paths) != 1:
        raise InputError("--corpus: name one file, one folder, or the pair .pos and .neg")
    path = paths[0]
    if path.is_dir():
        pair = [path / name for name in POLARITY_FILES]
        for member in pair:
            if not member.is_file():
                raise InputError(
                    f"{member}: not in the folder; name a file or run `replicate fetch`"
                )
        return _pair(pair)
    name = path.name.lower()
    if name.endswith((".tar.gz", ".tgz")):
        return _archive(path)
    if name.endswith((".tsv", ".csv", ".tsv.gz", ".csv.gz")):
        return _table(path)
    if name.endswith(".cor"):
        return _fasttext(path)
    raise InputError(
        f"{path}: not a corpus by its name; name .tsv, .csv (.gz), .tar.gz, "
        "a folder, or the pair .pos and .neg"
    )


def _pair(pair):
    parts = []
    for path in pair:
        try:
            parts.append((path.name, path.read_bytes(), path.parent))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check it") from None
    return _polarity(parts, pair[0].parent)


def _archive(path):
    with open(path, "rb") as file:
        found = polarity_archive(file.read(_ARCHIVE_LIMIT + 1), path)
    return _polarity([(name, found[name], path) for name in POLARITY_FILES], path)


def _polarity(parts, where):
    """MR from the bytes of its two files, positives first."""
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data, _ in parts}
    return Texts(where, _sentences(parts), checksums)


def _sentences(parts):
    """Sentences of both files, one a line that ends in LF."""
    # The text is Windows-1252, in which NEL (0x85) is an ellipsis: ``str.splitlines``
    # on Latin-1 text would break lines there.
    for (name, data, where), label in zip(parts, ("1", "0")):
        lines = data.split(b"\n")
        if lines and not lines[-1].strip():
            lines.pop()
        if not lines:
            raise InputError(f"{where}: {name} is empty; sentences, one a line, are needed")
        if b"\0" in data or data[:2] == b"\x1f\x8b":
            raise InputError(f"{where}: {name} is not text; one sentence a line is needed")
        for number, line in enumerate(lines, start=1):
            text = line.decode("cp1252", errors="replace")
            yield Text(text, label, number, f"{where}: {name} line {number}")


def polarity_archive(data: bytes, where: object) -> dict[str, bytes]:
    """Contents of MR's two files, by name, from the bytes of their archive.

    Only these two are read, in memory; names in the archive are compared and
    never used as paths, and links and devices are passed over.

    Args:
        data (bytes): a ``.tar.gz`` or ``.tar`` of at most 16 MiB, unpacked too.
        where: its name, for messages.

    Raises:
        InputError: for an archive that is damaged, truncated or too large, or
            that lacks or repeats a file.
    """
    found = {}
    try:
        if data[:2] == b"\x1f\x8b":
            # To the end, where the checksum is.
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(_ARCHIVE_LIMIT + 1)
        if len(data) > _ARCHIVE_LIMIT:
            raise ValueError(f"more than {_ARCHIVE_LIMIT:,} bytes")
        # In memory, so that no promise in a header can be for more than there is.
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for number, member in enumerate(archive):
                name = member.name.rsplit("/", 1)[-1]
                # A negative size makes some versions of tarfile read a header again and again.
                if number >= _MEMBER_LIMIT:
                    raise ValueError(f"more than {_MEMBER_LIMIT} members")
                if name in POLARITY_FILES and member.isfile():
                    # A sparse member has any size that it likes.
                    if name in found or member.size > len(data):
                        raise ValueError(f"{name} is too large or there twice")
                    found[name] = archive.extractfile(member).read()
    except (*DAMAGED_TAR, OSError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{where}: not a sound archive ({reason}); fetch it again") from None
    for name in POLARITY_FILES:
        if name not in found:
            raise InputError(f"{where}: {name} is not in it; name the archive of MR")
    return found


def _lines(path, encoding="utf-8", errors="strict"):
    """Lines of a text file, plain or ``.gz``, as :mod:`csv` wants them: with their ends."""
    try:
        opener = gzip.open if path.name.lower().endswith(".gz") else open
        with opener(path, "rb") as raw:
            read = functools.partial(raw.readline, _ROW_LIMIT + 1)
            for number, line in enumerate(iter(read, b""), start=1):
                if len(line) > _ROW_LIMIT:
                    raise InputError(
                        f"{path}: line {number} is longer than {_ROW_LIMIT:,} bytes; cut it"
                    )
                try:
                    text = line.decode(encoding, errors)
                except UnicodeDecodeError:
                    raise InputError(
                        f"{path}: line {number} is not UTF-8; save it as UTF-8"
                    ) from None
                if number == 1:
                    text = text.removeprefix("\ufeff")
                if "\0" in text:
                    raise InputError(f"{path}: line {number} is not text; name a text file")
                yield text
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); is it whole?") from None


def read_table(path, columns):
    """Rows of a ``.tsv`` or ``.csv`` (``.gz``) file, some columns of them.

    A row of a TSV is a line, and a field of it may stand in quotes with inner
    quotes doubled, as pandas writes it.  A CSV is quoted as usual (RFC 4180).

    Args:
        columns (dict): name -> whether it must be there.

    Yields:
        tuple: line number of the row's end, then the text of each column, or
        None where the column is absent.

    Raises:
        InputError: for a missing column, a row of another width, bad text.
    """
    path = Path(path)
    before = csv.field_size_limit(_ROW_LIMIT)
    number = 1
    try:
        tabs = path.name.lower().removesuffix(".gz").endswith(".tsv")
        rows = _tsv_rows(path) if tabs else _csv_rows(path)
        header = next(rows, (1, None))[1]
        if header is None:
            raise InputError(f"{path}: empty; a header and labelled texts are needed")
        missing = [name for name, needed in columns.items() if needed and name not in header]
        if missing:
            raise InputError(
                f"{path}: line 1 has no column {missing[0]!r}; "
                f"a header with {', '.join(columns)} is needed"
            )
        places = [header.index(name) if name in header else None for name in columns]
        for number, row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{path}: line {number} has {len(row)} fields, "
                    f"the header {len(header)}; correct that line"
                )
            yield (number, *[None if p is None else row[p] for p in places])
    except csv.Error as error:
        raise InputError(f"{path}: after line {number}: {error}; correct that line") from None
    finally:
        csv.field_size_limit(before)


def _csv_rows(path):
    length = 0

    def lines():
        nonlocal length
        for line in _lines(path):
            length += len(line)
            if length > _ROW_LIMIT:
                raise csv.Error(f"a row is longer than {_ROW_LIMIT:,} characters")
            yield line

    reader = csv.reader(lines(), strict=True)
    for row in reader:
        yield reader.line_num, row
        length = 0


def _tsv_rows(path):
    for number, line in enumerate(_lines(path), start=1):
        # A quote that is never closed is text: it must not swallow the next lines.
        row = next(csv.reader([line], delimiter="\t"), [])
        bare = line.rstrip("\r\n").split("\t")
        yield number, row if len(row) == len(bare) or line.count('"') % 2 == 0 else bare


def _table(path):
    return Texts(path, _labelled_rows(path), {path.name: sha256(path)})


def _labelled_rows(path):
    for line, label, text in read_table(path, {"label": True, "text": True}):
        if not label.strip():
            raise InputError(f"{path}: line {line} has no label; give it one")
        yield Text(text, label.strip(), line, f"{path}: line {line}")


def _fasttext(path):
    return Texts(path, _fasttext_rows(path), {path.name: sha256(path)})


def _fasttext_rows(path):
    names = {"__label__pos": "1", "__label__neg": "0"}
    # gensim's extract of MR keeps its Windows-1252 bytes.
    for number, line in enumerate(_lines(path, "cp1252", "replace"), start=1):
        label, _, text = line.partition(" ")
        if not label.startswith("__label__") or label.strip() == "__label__":
            raise InputError(f"{path}: line {number} does not start with __label__; correct it")
        yield Text(text, names.get(label, label[9:]), number, f"{path}: line {number}")
