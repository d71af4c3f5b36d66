"""Formats of word vectors: the rows of some words out of a file of any size.

Only the rows that are wanted are kept, so the 3.6 GB of GoogleNews cost
megabytes.  The file is read once, in blocks; in the binary format a record is
found by its length, and a word by its hash, without a Python object for each.
"""

import codecs
import gzip
import hashlib
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeGuard, cast, runtime_checkable

import numba
import numpy as np

from .errors import InputError, unreadable

__all__ = [
    "VERSION",
    "Keyed",
    "Vectors",
    "content_sha256",
    "is_keyed",
    "read_keyed",
    "read_vectors",
]

#: Of these readers: rows that an older one kept are read again.
VERSION = 3


@runtime_checkable
class Keyed(Protocol):
    """What gensim's ``KeyedVectors`` has, as far as it is used here.

    Attributes:
        key_to_index: word -> its row.
        vectors: (words, D) floats.
    """

    key_to_index: dict[str, int]
    vectors: np.ndarray


#: Word vectors: the path of a file, a name such as ``"random"``, or vectors in memory.
Vectors: TypeAlias = str | Path | Keyed

_BLOCK = 4 << 20
_LONGEST_WORD = 4096
_WIDEST = 10_000
# Of a text file: a word and as many numbers of up to a hundred characters.
_LONGEST_LINE = _LONGEST_WORD + 100 * _WIDEST


def read_vectors(path: str | Path, words: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read the vectors of some words out of a word-vector file.

    The first bytes of the file show whether it is word2vec binary, word2vec
    text, GloVe or fastText text; each may be gzipped.  Words may hold blanks; columns of
    text are parted by blanks or tabs.  Where a word occurs twice in the file,
    the first counts, as in gensim.

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
            head = file.read(_BLOCK).removeprefix(codecs.BOM_UTF8)
            if not head.strip():
                raise InputError(f"{path}: empty; a word-vector file is needed")
            _check_kind(path, head)
            first = head.split(b"\n", 1)[0]
            header = re.fullmatch(rb"\s*(\d+)\s+(\d+)\s*", first)
            if header is None:
                return _read_text(path, file, head, words, None)
            # Python does not turn thousands of digits into a number.
            count, width = (int(n) if len(n) < 19 else -1 for n in header.groups())
            if not (1 <= width <= _WIDEST and count >= 1):
                raise InputError(
                    f"{path}: line 1 has {_shown(header[1])} vectors of {_shown(header[2])} dimensions; "
                    f"1 to {_WIDEST} dimensions are read"
                )
            body = head[len(first) + 1 :]
            if _is_text(body, width):
                return _read_text(path, file, body, words, (count, width))
            return _read_binary(path, file, body, words, count, width)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error) or InputError(
            f"{path}: cannot be read ({error}); is it whole?"
        ) from None


def is_keyed(vectors: object) -> TypeGuard[Keyed]:
    """Whether these are vectors in memory; a gensim model that has some is refused.

    Raises:
        InputError: for a model whose vectors are ``model.wv``.

    Example:
        >>> is_keyed("vectors.bin")
        False
    """
    if isinstance(vectors, (str, Path)):
        return False
    if not isinstance(vectors, Keyed) and hasattr(vectors, "wv"):
        raise InputError(f"vectors: a {type(vectors).__name__} model; pass its vectors, model.wv")
    return isinstance(vectors, Keyed)


def read_keyed(keyed: Keyed, words: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of some words out of gensim's ``KeyedVectors``.

    Only words that it holds count: fastText's vectors of parts of words are not used, as they
    are not when its file is read.

    Args:
        keyed: the vectors.
        words: (V,) str, the words wanted.

    Returns:
        tuple: rows (V, D) float32, zero where unknown, and known (V,) bool.

    Raises:
        InputError: if words and rows do not fit, or a wanted vector holds NaN or infinity.

    Example:
        >>> from gensim.models import KeyedVectors
        >>> keyed = KeyedVectors(2)
        >>> keyed.add_vectors(["good", "bad"], np.eye(2))
        >>> [found.tolist() for found in read_keyed(keyed, ["bad", "film"])]
        [[[0.0, 1.0], [0.0, 0.0]], [True, False]]
    """
    words = [str(word) for word in words]
    table = _table_of(keyed)
    places = np.array([keyed.key_to_index.get(word, -1) for word in words], dtype=np.int64)
    known = places >= 0
    rows = np.zeros((len(words), table.shape[1]), dtype=np.float32)
    with np.errstate(over="ignore"):  # infinity, which is refused below
        rows[known] = table[places[known]]
    return _finite("KeyedVectors", words, rows, known)


def content_sha256(keyed: Keyed) -> str:
    """Checksum of words and rows in memory; their order does not count.

    Example:
        >>> from gensim.models import KeyedVectors
        >>> one, other = KeyedVectors(2), KeyedVectors(2)
        >>> one.add_vectors(["a", "b"], np.eye(2))
        >>> other.add_vectors(["b", "a"], np.eye(2)[::-1])
        >>> content_sha256(one) == content_sha256(other)
        True
    """
    table = _table_of(keyed)
    words = sorted(word for word in keyed.key_to_index if isinstance(word, str))
    digest = hashlib.sha256(f"{len(words)} {table.shape[1]}\n".encode())
    for start in range(0, len(words), 10_000):
        some = words[start : start + 10_000]
        digest.update("\0".join(some).encode("utf-8", errors="surrogatepass") + b"\0")
        places = [keyed.key_to_index[word] for word in some]
        digest.update(np.asarray(table[places], dtype="<f4").tobytes())
    return digest.hexdigest()


def _table_of(keyed: Keyed) -> Any:
    """The rows of vectors in memory; refused where words point outside of them."""
    table = np.asarray(keyed.vectors)
    if table.ndim != 2 or table.dtype.kind != "f" or not 1 <= table.shape[1] <= _WIDEST:
        raise InputError(
            f"KeyedVectors: vectors have shape {table.shape} and dtype {table.dtype}; (words, "
            f"dimensions) floats are read, with 1 to {_WIDEST} dimensions"
        )
    places = keyed.key_to_index.values()
    if places and not 0 <= min(places) <= max(places) < len(table):
        raise InputError("KeyedVectors: words have no row; make it again with add_vectors")
    return table


def _check_kind(path, head):
    """Refuse what begins as no file of word vectors does."""
    start = head[:256].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise InputError(f"{path}: a web page, not word vectors; fetch it again")
    if head[:1] == b"\x80":
        raise InputError(
            f"{path}: a pickle, as gensim's save() writes it; pickles are never opened here. "
            "Convert it, if you trust it: from gensim.models import KeyedVectors; "
            f"kv = KeyedVectors.load({str(path)!r}); getattr(kv, 'wv', kv).save_word2vec_format("
            f"{path.stem + '.bin'!r}, binary=True)"
        )
    if head[:4] == b"PK\x03\x04" or head[:6] == b"\x93NUMPY":
        raise InputError(f"{path}: an archive or array, not word vectors; name another file")
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in head[:2]:
        raise InputError(f"{path}: UTF-16, not word vectors; save it as UTF-8")
    if b"\r" in head and b"\n" not in head:
        raise InputError(f"{path}: its lines end in CR; save it with LF as line end")


def _shown(digits):
    return digits.decode() if len(digits) < 19 else f"a number of {len(digits)} digits of"


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_text(body, width):
    """Whether the first line is a word and numbers, be they too few, too many or NaN."""
    line = body.lstrip(b"\r\n")[:_LONGEST_LINE].split(b"\n", 1)[0]
    numbers = line.split()[not line[:1].isspace() :][-width:]  # a word may be white space
    return len(numbers) >= min(2, width) and all(map(_is_number, numbers))


def _width_of(lines):
    """How many numbers most lines end in, without the first field, even if it looks like one."""
    widths: Counter = Counter()
    for line in lines:
        fields = line.split()
        numbers = itertools.takewhile(_is_number, reversed(fields))
        most = len(fields) - (not line[:1].isspace())
        widths[min(len(list(numbers)), most)] += 1
    return widths.most_common(1)[0][0] if widths else 0


def _read_text(path, file, head, words, header):
    wanted = {word.encode("utf-8"): i for i, word in enumerate(words)}
    if header:
        width = header[1]
    else:
        lines = [line for line in head.split(b"\n")[:100] if line.strip()]
        # The last line of the block may be cut; a first line alone may not be.
        width = _width_of(lines[: max(1, len(lines) - 1)])
        if not 1 <= width <= _WIDEST:
            raise InputError(
                f"{path}: line 1 is not a word and numbers, parted by blanks; name a vector file"
            )
    rows = np.zeros((len(words), width), dtype=np.float32)
    known = np.zeros(len(words), dtype=bool)
    vectors = 0
    longer: dict[str, int] = {}
    for number, line in enumerate(_text_lines(file, head), start=2 if header else 1):
        if len(line) > _LONGEST_LINE:
            raise InputError(
                f"{path}: line {number} is too long for a word and numbers; is it whole?"
            )
        if not line or line.isspace():
            continue
        word, fields = _word_and_numbers(line, width)
        if len(fields) < width:
            raise InputError(f"{path}: line {number} has not {width} numbers; is it whole?")
        if b"\r" in word and any(map(_ends_in_number, word.split(b"\r")[:-1])):
            raise InputError(
                f"{path}: line {number} is several lines that end in CR; save it with LF as line end"
            )
        vectors += 1
        if header and vectors > header[0]:
            raise InputError(
                f"{path}: line {number}: more than the {header[0]} vectors of line 1; correct line "
                "1, or fetch it again"
            )
        place = wanted.get(word)
        if place is None:
            # A full check of every number would take as long as reading them.
            start, _, rest = word.partition(b" ")
            if rest and start in wanted and _is_number(rest.rsplit(None, 1)[-1]):
                longer.setdefault(start, number)
            continue
        if known[place]:
            continue
        try:
            with np.errstate(over="ignore"):  # infinity, which is refused below
                rows[place] = np.array(fields, dtype=np.float32)
        except ValueError:
            raise InputError(
                f"{path}: line {number} has not {width} numbers; is it whole?"
            ) from None
        known[place] = True
    # "windows 95" is a phrase where "windows" has a vector; else a vector is too long.
    for start, number in longer.items():
        if not known[wanted[start]]:
            raise InputError(f"{path}: line {number} has more than {width} numbers; is it whole?")
    if header and vectors < header[0]:
        raise InputError(f"{path}: truncated: {vectors} of {header[0]} vectors; fetch it again")
    return _finite(path, words, rows, known)


def _ends_in_number(line):
    """Whether a line is a vector's: a word that holds a CR has no number before it."""
    fields = line.split()
    return bool(fields) and _is_number(fields[-1])


def _word_and_numbers(line, width):
    """A line's word, blanks and all, and its last `width` fields.

    Example:
        >>> _word_and_numbers(b"new york 1 2", 2), _word_and_numbers(b"\\t 1 2 ", 2)
        ((b'new york', [b'1', b'2']), (b'\\t', [b'1', b'2']))
    """
    fields = line.rsplit(None, width)
    if len(fields) <= width:
        # A word that is white space, as gensim has it: all before the one separator.
        blanks = line[: len(line) - len(line.lstrip())]
        return (blanks[:-1], fields) if blanks else (b"", fields[: width - 1])
    word = fields[0]
    if line[len(word) + 1 : len(word) + 2].isspace():
        # Several separators of one kind, or a word that ends in other white space.
        rest = line[len(word) :]
        blanks = rest[: len(rest) - len(rest.lstrip())]
        word += b"" if len(set(blanks)) == 1 else blanks[:-1]
    return word.lstrip(b" "), fields[1:]


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
            break  # the reader refuses this line
        rest += block
    if rest:
        yield rest


def _read_binary(path, file, head, words, count, width):
    encoded = [word.encode("utf-8") for word in words]
    table, starts, text = _hash_table(encoded)
    rows = np.zeros((len(words), width), dtype=np.float32)
    known = np.zeros(len(words), dtype=np.bool_)
    # One buffer for the whole file: what is left of a block moves to its
    # front.  It must hold the longest record and the word after it, or no
    # progress could be made.
    record = 2 * _LONGEST_WORD + 4 * width + 4
    buffer = np.empty(max(_BLOCK, len(head)) + record, dtype=np.uint8)
    view = memoryview(cast(Any, buffer))  # arrays have the buffer protocol
    filled, ended = len(head), False
    view[:filled] = head
    done = 0
    while True:
        used, number, fault = _scan(
            buffer, filled, ended, count - done, width, table, starts, text, known, rows
        )
        done += number
        if fault == _NO_WORD:
            raise InputError(
                f"{path}: vector {done + 1} of {count} has no word of up to {_LONGEST_WORD} "
                "bytes; not word2vec binary, or damaged"
            )
        if fault == _UNCLEAR:
            raise InputError(
                f"{path}: vector {done + 1} of {count}: where its word ends is not clear, for "
                "words of the file hold blanks, or it is damaged; save the vectors as text"
            )
        if done == count:
            break
        if ended:
            raise InputError(f"{path}: truncated: {done} of {count} vectors; fetch it again")
        view[: filled - used] = view[used:filled]
        filled -= used
        got = file.readinto(view[filled : filled + _BLOCK])
        ended = not got
        filled += got
    # What follows must be nothing, and reading to the end lets gzip check its sum.
    if (view[used:filled].tobytes() + file.read(1 << 16)).strip():
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


#: Faults of a record: no blank ends its word; several blanks may.
_NO_WORD, _UNCLEAR = 1, 2


@numba.njit(cache=True, nogil=True)
def _scan(buffer, filled, ended, most, width, table, starts, text, known, rows):
    """Take whole records off the buffer's front.

    A word may hold blanks ("new york"), and nothing in the format says so:
    read to a blank too early, such a record gives numbers made of letters, or
    a next word made of numbers.  So the word ends at the one blank that fits.

    Returns:
        tuple: bytes used, records taken, and the fault that ended it, or 0.
    """
    position = 0
    taken = 0
    while taken < most:
        begin = position
        # Some writers end a record with a line end, some do not.
        while begin < filled and (buffer[begin] == 10 or buffer[begin] == 13):
            begin += 1
        end = _blank_after(buffer, begin, filled)
        if end < 0:
            return position, taken, _NO_WORD if filled - begin >= 4096 else 0
        last = taken + 1 == most
        first = _fits(buffer, filled, ended, last, end + 1, width)
        if first < 0:
            break
        blank, more, fitting = end, first, 0
        while more >= 0:
            if more == 3:
                end = blank
                fitting += 1
            blank = _blank_in_word(buffer, blank + 1, min(filled, begin + 4096))
            if blank < 0 or not _is_word(buffer, begin, blank):
                break
            more = _fits(buffer, filled, ended, last, blank + 1, width)
        if more < 0 and not ended:
            break
        if fitting > 1 or (fitting == 0 and first == 0):
            return position, taken, _UNCLEAR
        values = end + 1
        word = _find(buffer, begin, end, table, starts, text)
        if word >= 0 and not known[word]:
            known[word] = True
            raw = buffer[values : values + 4 * width].copy()
            rows[word] = raw.view(np.float32)
        position = values + 4 * width
        taken += 1
    return position, taken, 0


@numba.njit(cache=True, nogil=True)
def _blank_after(buffer, start, filled):
    """Place of the first blank from `start` on, at most 4,096 bytes on; else -1."""
    for i in range(start, min(filled, start + 4096)):
        if buffer[i] == 32:
            return i
    return -1


@numba.njit(cache=True, nogil=True)
def _blank_in_word(buffer, start, stop):
    """Place of the first blank before any control character; else -1."""
    for i in range(start, stop):
        if buffer[i] <= 32:
            return i if buffer[i] == 32 else -1
    return -1


@numba.njit(cache=True, nogil=True)
def _fits(buffer, filled, ended, last, values, width):
    """Whether numbers begin at `values`.

    Returns:
        int: 1 where the first have sizes that numbers have, plus 2 where a word (after
        the last record: nothing) is behind them; -1 where more of the file must be read.
    """
    after = values + 4 * width
    if after > filled:
        return -1
    while after < filled and (buffer[after] == 10 or buffer[after] == 13):
        after += 1
    if last:
        if not ended and after == filled:
            return -1
        next_word = after == filled
    else:
        end = _blank_after(buffer, after, filled)
        if end < 0 and not ended and filled - after < 4096:
            return -1
        next_word = end >= 0 and _is_word(buffer, after, end)
    # Numbers read some bytes too early have the exponents of letters or of other
    # numbers' last bits: beyond 2^-50 to 2^30 sooner or later, unless they are 0.
    for i in range(values, values + 4 * min(width, 16), 4):
        exponent = (np.int64(buffer[i + 3]) & 127) << 1 | np.int64(buffer[i + 2]) >> 7
        zero = exponent == 0 and buffer[i + 2] & 127 == 0 and buffer[i + 1] == 0 and buffer[i] == 0
        if not (zero or 77 <= exponent <= 157):
            return 2 if next_word else 0
    return 3 if next_word else 1


@numba.njit(cache=True, nogil=True)
def _is_word(buffer, start, end):
    """Whether bytes are UTF-8 without control characters."""
    left = 0
    for i in range(start, end):
        byte = buffer[i]
        if left > 0:
            if byte & 0xC0 != 0x80:
                return False
            left -= 1
        elif byte < 32 or byte == 127:
            return False
        elif byte >= 0x80:
            if byte < 0xC2 or byte > 0xF4:
                return False
            left = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
    return left == 0


@numba.njit(cache=True, nogil=True)
def _find(buffer, begin, end, table, starts, text):
    """Index of the wanted word that these bytes are, or -1."""
    mask = np.uint64(len(table) - 1)
    slot = _hash(buffer, begin, end) & mask
    while table[slot] >= 0:
        word = table[slot]
        if starts[word + 1] - starts[word] == end - begin:
            same = True
            for i in range(end - begin):
                if text[starts[word] + i] != buffer[begin + i]:
                    same = False
                    break
            if same:
                return word
        slot = (slot + np.uint64(1)) & mask
    return -1
