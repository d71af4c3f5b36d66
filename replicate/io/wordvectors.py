"""Formats of word vectors: the rows of some words out of a file of any size.

Only the rows that are wanted are kept, so the 3.6 GB of GoogleNews cost
megabytes.  The file is read once, in blocks; in the binary format a record is
found by its length, and a word by its hash, without a Python object for each.
"""

import gzip
import re
import zlib
from pathlib import Path

import numba
import numpy as np

from .errors import InputError

__all__ = ["read_vectors"]

_BLOCK = 4 << 20
_LONGEST_WORD = 4096
_WIDEST = 10_000
# Of a text file: a word and as many numbers of up to a hundred characters.
_LONGEST_LINE = _LONGEST_WORD + 100 * _WIDEST


def read_vectors(path, words):
    """Read the vectors of some words out of a word-vector file.

    word2vec binary, word2vec text, GloVe and fastText text are told apart by
    their first bytes; each may be gzipped.  Where a word occurs twice in the
    file, the first counts, as in gensim.

    Args:
        path: the file.
        words: (V,) str, the words wanted.

    Returns:
        tuple: rows (V, D) float32, zero where unknown, and known (V,) bool.

    Raises:
        InputError: when the file is missing, truncated, of another kind, or
            a wanted vector holds NaN or infinity.
    """
    path = Path(path)
    words = [str(word) for word in words]
    try:
        with open(path, "rb") as raw:
            magic = raw.read(2)
        with (gzip.open if magic == b"\x1f\x8b" else open)(path, "rb") as file:
            head = file.read(_BLOCK)
            if not head.strip():
                raise InputError(f"{path}: empty; a word-vector file is needed")
            start = head[:256].lstrip().lower()
            if start.startswith((b"<!doctype", b"<html", b"<?xml")):
                raise InputError(f"{path}: a web page, not word vectors; fetch it again")
            if head[:1] == b"\x80" or head[:4] == b"PK\x03\x04" or head[:6] == b"\x93NUMPY":
                raise InputError(
                    f"{path}: a pickle or archive, not word vectors; name another file"
                )
            first = head.split(b"\n", 1)[0]
            header = re.fullmatch(rb"\s*(\d+)\s+(\d+)\s*", first)
            if header is None:
                return _read_text(path, file, head, words, None)
            # Python does not turn thousands of digits into a number.
            count, width = (int(n) if len(n) < 19 else -1 for n in header.groups())
            if not (1 <= width <= _WIDEST and count >= 1):
                raise InputError(
                    f"{path}: line 1 tells {_told(header[1])} vectors of {_told(header[2])} dimensions; "
                    f"1 to {_WIDEST} dimensions are read"
                )
            body = head[len(first) + 1 :]
            if _is_text(body, width):
                return _read_text(path, file, body, words, (count, width))
            return _read_binary(path, file, body, words, count, width)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); is it whole?") from None


def _told(digits):
    return digits.decode() if len(digits) < 19 else f"a number of {len(digits)} digits of"


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_text(body, width):
    """Whether the first line is a word and numbers, be they too few, too many or NaN."""
    fields = body[:_LONGEST_LINE].split(b"\n", 1)[0].split()
    numbers = fields[1:][-width:]
    return bool(numbers) and all(map(_is_number, numbers))


def _read_text(path, file, head, words, header):
    wanted = {word.encode("utf-8"): i for i, word in enumerate(words)}
    width = header[1] if header else None
    rows = np.zeros((len(words), width), dtype=np.float32) if header else None
    known = np.zeros(len(words), dtype=bool)
    number = 1 if header else 0
    vectors = 0
    for line in _text_lines(file, head):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise InputError(
                f"{path}: line {number} is too long for a word and numbers; is it whole?"
            )
        line = line.strip()
        if not line:
            continue
        if width is None:
            width = len(line.split(b" ")) - 1
            if not 1 <= width <= _WIDEST or not _is_text(line, width):
                raise InputError(f"{path}: line 1 is not a word and numbers; name a vector file")
            rows = np.zeros((len(words), width), dtype=np.float32)
        vectors += 1
        fields = line.rsplit(b" ", width)
        # Words of some files have blanks, but none ends in a number of its own.
        if b" " in fields[0] and _is_number(fields[0].rsplit(b" ", 1)[1]):
            raise InputError(f"{path}: line {number} has more than {width} numbers; is it whole?")
        place = wanted.get(fields[0])
        if place is None:
            # A full check of every number would take as long as reading them.
            if len(fields) != width + 1:
                raise InputError(f"{path}: line {number} has not {width} numbers; is it whole?")
            continue
        if known[place]:
            continue
        try:
            with np.errstate(over="ignore"):  # infinity, which is told below
                row = np.array(fields[1:], dtype=np.float32)
            if len(row) != width:
                raise ValueError
        except ValueError:
            raise InputError(
                f"{path}: line {number} has not {width} numbers; is it whole?"
            ) from None
        rows[place], known[place] = row, True
    if header and vectors < header[0]:
        raise InputError(f"{path}: truncated: {vectors} of {header[0]} vectors; fetch it again")
    return _finite(path, words, rows, known)


def _text_lines(file, head):
    """Lines of what was read already and of what is left."""
    rest = head
    while True:
        lines = rest.split(b"\n")
        rest = lines.pop()
        yield from lines
        block = file.read(_BLOCK)
        if not block:
            break
        if len(rest) > _LONGEST_LINE:
            break  # which is told of this line, unread
        rest += block
    if rest:
        yield rest


def _read_binary(path, file, head, words, count, width):
    encoded = [word.encode("utf-8") for word in words]
    table, starts, text = _hash_table(encoded)
    rows = np.zeros((len(words), width), dtype=np.float32)
    known = np.zeros(len(words), dtype=np.bool_)
    # One buffer for the whole file: what is left of a block moves to its
    # front.  It must hold the longest record, or no progress could be made.
    record = _LONGEST_WORD + 4 * width + 2
    buffer = np.empty(max(_BLOCK, len(head)) + record, dtype=np.uint8)
    view = memoryview(buffer)
    filled = len(head)
    view[:filled] = head
    done = 0
    while done < count:
        used, number, too_long = _scan(
            buffer, filled, count - done, width, table, starts, text, known, rows
        )
        done += number
        if too_long:
            raise InputError(
                f"{path}: vector {done + 1} of {count} has no word of up to {_LONGEST_WORD} "
                "bytes; not word2vec binary, or damaged"
            )
        if done == count:
            break
        view[: filled - used] = view[used:filled]
        filled -= used
        got = file.readinto(view[filled : filled + _BLOCK])
        if not got:
            raise InputError(f"{path}: truncated: {done} of {count} vectors; fetch it again")
        filled += got
    # What follows must be nothing, and reading to the end lets gzip check its sum.
    tail = view[used:filled].tobytes() if done == count else b""
    if (tail + file.read(1 << 16)).strip():
        raise InputError(f"{path}: more than the {count} vectors of line 1; is it another format?")
    return _finite(path, words, rows, known)


def _finite(path, words, rows, known):
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise InputError(
            f"{path}: the vector of {words[bad[0]]!r} holds NaN or infinity; replace it"
        )
    return rows, known


@numba.njit(cache=True, nogil=True)
def _hash(buffer, start, end):
    """FNV-1a, 64 bits."""
    value = np.uint64(14695981039346656037)
    for i in range(start, end):
        value = (value ^ np.uint64(buffer[i])) * np.uint64(1099511628211)
    return value


def _hash_table(encoded):
    """Words in an open-addressed table: slot -> word index, and their bytes."""
    text = np.frombuffer(b"".join(encoded) + b"\0", dtype=np.uint8)
    starts = np.zeros(len(encoded) + 1, dtype=np.int64)
    starts[1:] = np.cumsum([len(word) for word in encoded])
    size = 1 << max(4, (2 * len(encoded)).bit_length())
    table = np.full(size, -1, dtype=np.int64)
    _fill_table(table, starts, text)
    return table, starts, text


@numba.njit(cache=True, nogil=True)
def _fill_table(table, starts, text):
    mask = np.uint64(len(table) - 1)
    for i in range(len(starts) - 1):
        slot = _hash(text, starts[i], starts[i + 1]) & mask
        while table[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        table[slot] = i


@numba.njit(cache=True, nogil=True)
def _scan(buffer, filled, most, width, table, starts, text, known, rows):
    """Take whole records off the buffer's front.

    Returns:
        tuple: bytes used, records taken, and whether a word had no end.
    """
    mask = np.uint64(len(table) - 1)
    position = 0
    taken = 0
    while taken < most:
        begin = position
        # Some writers end a record with a line end, some do not.
        while begin < filled and (buffer[begin] == 10 or buffer[begin] == 13):
            begin += 1
        end = begin
        limit = min(filled, begin + 4096)
        while end < limit and buffer[end] != 32:
            end += 1
        if end == limit:
            return position, taken, limit == begin + 4096
        values = end + 1
        if values + 4 * width > filled:
            break
        slot = _hash(buffer, begin, end) & mask
        while table[slot] >= 0:
            word = table[slot]
            length = starts[word + 1] - starts[word]
            same = length == end - begin
            if same:
                for i in range(length):
                    if text[starts[word] + i] != buffer[begin + i]:
                        same = False
                        break
            if same:
                if not known[word]:
                    known[word] = True
                    raw = buffer[values : values + 4 * width].copy()
                    rows[word] = raw.view(np.float32)
                break
            slot = (slot + np.uint64(1)) & mask
        position = values + 4 * width
        taken += 1
    return position, taken, False
