"""Files that stages exchange: written completely or not at all, checked when read, never unpickled."""

import contextlib
import csv
import gzip
import hashlib
import io
import itertools
import json
import lzma
import math
import os
import re
import struct
import tarfile
import threading
import tokenize
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import ArrayLike

from .errors import InputError, Unreadable, shorten, unreadable

__all__ = [
    "DAMAGED_TAR",
    "HEADER",
    "OWN",
    "atomic",
    "check_own_folder",
    "folder_lock",
    "is_own",
    "load_json",
    "load_npy",
    "load_npz",
    "read_csv",
    "read_text",
    "save_csv",
    "save_json",
    "save_npy",
    "save_npz",
    "save_text",
    "sha256",
    "sync_folder",
    "remove_temporaries",
    "toml_table",
]


#: A path, as the standard library takes it.
StrPath = str | os.PathLike[str]
#: Extent of an array in every dimension; None for any.
Shape = Sequence[int | None]
_TEXT_LIMIT = 64 << 20
#: Part of the names that only this program gives: it may remove what has one.
OWN = ".replicate."
_LOCK = f"{OWN}lock"
_TEMPORARY = f"{OWN}part"
# More names joined by dots than any table here has: tomllib's memory grows
# with the square of their number.
_LONG_KEY = re.compile(r"""(\.[ \t]*("(\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*){20}""")


#: Exceptions that tarfile raises for damaged bytes.
DAMAGED_TAR = (
    tarfile.TarError, EOFError, IndexError, OverflowError, RecursionError, UnicodeError, ValueError,
)  # fmt: skip


def toml_table(text: str, where: StrPath) -> dict[str, Any]:
    """A table from TOML text.

    Raises:
        InputError: if the text is not TOML, or nested too deep.
    """
    if _LONG_KEY.search(text):
        raise InputError(f"{where}: a name has more than 20 parts; no setting has, remove it")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{where}: a value is nested too deep; no setting is, remove it") from None
    except ValueError as error:  # TOMLDecodeError, or a number with thousands of digits
        raise InputError(f"{where}: not TOML ({error}); correct that place") from None


def read_text(path: StrPath) -> str:
    """Text of a UTF-8 file of at most 64 MiB, without the mark that some editors begin it with.

    Raises:
        InputError: if it is missing, not a file, too large, not readable or not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_TEXT_LIMIT + 1)
        if len(data) > _TEXT_LIMIT:
            raise InputError(f"{path}: longer than {_TEXT_LIMIT:,} bytes; is it the right file?")
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text at byte {error.start}; save it as UTF-8"
        ) from None
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path, error):
    """The error to raise for one of opening or reading plain bytes."""
    return unreadable(path, error) or InputError(
        f"{path}: cannot be read ({error.strerror or error}); check the name"
    )


@contextlib.contextmanager
def atomic(path: StrPath) -> Iterator[BinaryIO]:
    """A binary file that appears at `path` only when it is complete.

    It is written under a temporary name in the same folder, flushed to the disk and
    renamed.  If an error occurs, the temporary file is removed and `path` does not
    change.

    Raises:
        InputError: if the disk is full or the file cannot be written.

    Example:
        >>> import tempfile, pathlib
        >>> place = pathlib.Path(tempfile.mkdtemp()) / "file"
        >>> with atomic(place) as file:
        ...     _ = file.write(b"whole")
        >>> place.read_bytes()
        b'whole'
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        temporary_gone(temporary)
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "free space or choose another folder, then run the same command again"
        ) from error
    except BaseException:
        temporary_gone(temporary)
        raise


def is_own(path: StrPath) -> bool:
    """Whether a name is one that only this program gives.

    Example:
        >>> is_own(".replicate.lock"), is_own(".config.json.42.replicate.part"), is_own(".x.part")
        (True, True, False)
    """
    name = Path(path).name
    temporary = re.fullmatch(rf"\..+\.[0-9]+{re.escape(_TEMPORARY)}", name)
    return name.startswith(OWN) or temporary is not None


def check_own_folder(folder: StrPath, what: str, names: Iterable[str] = ()) -> None:
    """Look whether a folder may be written to, before anything in it is touched.

    Args:
        folder: DIR; it may be missing.
        what: a folder of these may be written to, for the message.
        names: files and folders in it that are the program's, beside those with its own names.

    Raises:
        InputError: if it holds anything else.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return
    found = {path.name for path in folder.iterdir()}
    # The log has a name that others give too, but it is never there without the lock's file.
    names = {*names, "run.log"} if _LOCK in found else set(names)
    others = sorted(name for name in found - names if not is_own(name))
    if others:
        raise InputError(
            f"{folder}: holds {shorten(others[0])}, and no {what}; choose an empty --out"
        )


def remove_temporaries(folder: StrPath, places: Iterable[str] = ("",)) -> None:
    """Remove what killed processes left of :func:`atomic`; the folder's lock must be held.

    Args:
        folder: DIR.
        places: the folders below it that are looked at, as patterns: ``""`` is DIR itself.
            Others are somebody else's, or those of a run inside of DIR that is at work.
    """
    for place in places:
        for path in Path(folder).glob(f"{place}/.*{_TEMPORARY}" if place else f".*{_TEMPORARY}"):
            if is_own(path):
                temporary_gone(path)


def temporary_gone(path: StrPath) -> None:
    """Remove `path` if possible; an error here must not hide the one before it."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def sync_folder(folder: StrPath) -> None:
    """Make a rename survive a power cut, on file systems that support it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def save_npy(path: StrPath, array: ArrayLike) -> None:
    """Write one array; see :func:`atomic`."""
    with atomic(path) as file:
        np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def save_npz(path: StrPath, arrays: Mapping[str, ArrayLike], *, compressed: bool = False) -> None:
    """Write named arrays, compressed by LZMA if asked; the same arrays give the same bytes."""
    made = {name: np.asarray(value) for name, value in arrays.items()}
    for name, value in made.items():
        if value.dtype.hasobject:
            raise ValueError(f"{name} has objects, which can only be pickled")
    with atomic(path) as file:
        # Members are dated 1980-01-01, as by numpy.savez: the bytes do not depend on time.
        if not compressed:
            np.savez(file, **made)  # type: ignore[arg-type]
            return
        # What numpy.load reads, and numpy.savez_compressed cannot write: a third smaller.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
            for name, value in made.items():
                member = zipfile.ZipInfo(f"{name}.npy")
                member.compress_type = zipfile.ZIP_LZMA
                with archive.open(member, "w") as part:
                    np.lib.format.write_array(part, value, allow_pickle=False)


def save_text(path: StrPath, text: str) -> None:
    """Write UTF-8 text; see :func:`atomic`.

    A byte of a file name that is not UTF-8 is written as ``?``: Python has it as a
    character that no text can hold.
    """
    with atomic(path) as file:
        file.write(text.encode("utf-8", errors="replace"))


def save_json(path: StrPath, value: Any) -> None:
    """Write indented JSON, keys in their order, with a newline at the end."""
    save_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def save_csv(path: StrPath, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV table, compressed if its name ends in .gz; floats keep all their digits."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    # Before Python 3.11.9 and 3.12.3 the module leaves a lone CR unquoted, at which readers
    # break the line.
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in itertools.chain([header], rows):
        cells = [_cell(value) for value in row]
        has_return = any(isinstance(cell, str) and "\r" in cell for cell in cells)
        (quoted if has_return else plain).writerow(cells)
    if str(path).endswith(".gz"):
        with atomic(path) as file:
            file.write(gzip.compress(text.getvalue().encode(), mtime=0))
        return
    save_text(path, text.getvalue())


def _cell(value):
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return value


def read_csv(
    path: StrPath,
    header: Sequence[str],
    numbers: Mapping[str, Callable[[str], Any]] | None = None,
) -> list[dict[str, Any]]:
    """Rows of a CSV table as dictionaries of text; columns in `numbers` are converted.

    Args:
        path: the file.
        header: names of its columns.
        numbers (dict): column -> ``int`` or ``float``.

    Raises:
        InputError: if the file is missing, has another header or an incomplete
            row, or a value cannot be converted.
    """
    try:
        opened = gzip.open if str(path).endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames is None or list(reader.fieldnames) != list(header):
                raise InputError(
                    f"{path}: line 1 should read {','.join(header)}; remove the file and run again"
                )
            rows = list(reader)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, error) or InputError(
            f"{path}: cannot be read ({error}); run the experiment again"
        ) from None
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InputError(f"{path}: line {number} is incomplete; remove the file and run again")
        for name, kind in (numbers or {}).items():
            try:
                row[name] = kind(row[name])
            except ValueError:
                raise InputError(
                    f"{path}: line {number} has {name} = {shorten(row[name])}, which is not a number; "
                    "remove the file and run again"
                ) from None
    return rows


def load_json(path: StrPath) -> Any:
    """Value of a JSON file that :func:`save_json` wrote.

    Raises:
        InputError: if it is missing, not JSON, or has values that
            :func:`save_json` cannot write.
    """
    try:
        value = json.loads(read_text(path))
        # Reject infinity and lone surrogates here, because they cannot be written again.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        reason = str(error).removeprefix(f"{path}: ").partition(";")[0]
        if not reason.startswith("cannot be read"):
            reason = f"cannot be read ({reason})"
        raise InputError(f"{path}: {reason}; is this a run folder?") from None
    return value


#: Exceptions that NumPy and zipfile raise for damaged bytes; OSError and MemoryError are
#: raised for refusals of the system too.
_DAMAGED = (
    ValueError,
    lzma.LZMAError,
    KeyError,
    OSError,
    EOFError,
    RuntimeError,  # "encrypted", "bad zip flags", a compression that zipfile lacks
    SyntaxError,
    TypeError,  # a header with keys of several types, or unhashable ones
    IndexError,
    MemoryError,
    OverflowError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


#: Held while a header is read: NumPy parses it as Python, and Python 3.11 fails if two
#: threads parse at once ("AST constructor recursion depth mismatch", CPython issue 106905).
HEADER = threading.Lock()


def _not_loaded(path, error, kind):
    """The error to raise for one of _DAMAGED: only damage may have the remedy to remove a file."""
    return unreadable(path, error) or InputError(
        f"{path}: damaged, or not {kind} ({_one_line(error)}); remove it"
    )


def _one_line(error):
    return " ".join(str(error).split())[:200] or type(error).__name__


def _checked(path, name, array, kind, shape, finite):
    where = f"{path}: {name}" if name else str(path)
    if array.dtype.kind == "U" and not _is_text(array):
        raise InputError(
            f"{where} has characters that do not exist; another program wrote it, remove it"
        )
    if kind is not None and array.dtype.kind not in kind:
        raise InputError(f"{where} has dtype {array.dtype}; another program wrote it, remove it")
    if shape is not None:
        fits = array.ndim == len(shape) and all(
            want is None or have == want for have, want in zip(array.shape, shape)
        )
        if not fits:
            raise InputError(f"{where} has shape {array.shape}, not {shape}; remove it")
    if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{where} has NaN or infinity; remove it and run again")
    return array


def _is_text(array):
    """Whether a text array has valid characters only: NumPy accepts any four bytes as one."""
    codes = np.ascontiguousarray(array).reshape(-1).view(array.dtype.byteorder + "u4")
    return not (codes > 0x10FFFF).any() and not ((codes >> 11) == 0xD800 >> 11).any()


def load_npz(
    path: StrPath,
    spec: Mapping[str, tuple[str, Shape | None]] | None = None,
    *,
    finite: bool = True,
    mapped: Collection[str] = (),
    optional: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Named arrays of an ``.npz`` file, checked and never unpickled.

    Args:
        path: the file.
        spec (dict): name -> (dtype kinds, shape), with None for any extent; the
            file must have exactly these names.  None: any names.
        finite (bool): reject NaN and infinity.
        mapped: names of arrays that are mapped instead of read, if the archive
            is not compressed; changes of these arrays are not stored.
        optional: names of `spec` that the file may lack.

    Returns:
        dict: name -> array.

    Raises:
        InputError: if it is missing, damaged, pickled, or does not fit `spec`.
    """
    try:
        # numpy.load does not close a damaged archive, and returns bytes for a member
        # that is not an array.
        with open(path, "rb") as raw, zipfile.ZipFile(raw) as archive:
            arrays = {}
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in mapped and member.compress_type == zipfile.ZIP_STORED:
                    arrays[name] = _mapped(raw, member)
                    continue
                with archive.open(member) as file, HEADER:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    except _DAMAGED as error:
        raise _not_loaded(path, error, "an .npz file") from None
    if spec is None:
        spec = dict.fromkeys(arrays, ("biufU", None))
    spec = {name: form for name, form in spec.items() if name in arrays or name not in optional}
    if set(spec) != set(arrays):
        odd = _one_line(", ".join(sorted(set(spec) ^ set(arrays))))
        raise InputError(f"{path}: the arrays {odd} are missing or unknown; remove it")
    for name, (kind, shape) in spec.items():
        _checked(path, name, arrays[name], kind, shape, finite)
    return arrays


def _mapped(raw, member):
    """An uncompressed member of an archive as a mapped array."""
    # The lengths of name and extra field are in bytes 26 to 29 of the local header.
    raw.seek(member.header_offset + 26)
    name, extra = struct.unpack("<HH", raw.read(4))
    raw.seek(name + extra, os.SEEK_CUR)
    start = raw.tell()
    version = np.lib.format.read_magic(raw)
    if version != (1, 0):
        raise ValueError("another version of the header")
    with HEADER:
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(raw)
    size = dtype.itemsize * math.prod(shape)
    if dtype.hasobject or fortran or raw.tell() + size != start + member.file_size:
        raise ValueError("its length differs from that in its header")
    if not size:
        return np.zeros(shape, dtype)
    # Copy on write: compiled loops accept it like any other array.
    return np.asarray(np.memmap(raw.name, dtype, "c", raw.tell(), shape))


def load_npy(
    path: StrPath,
    kind: str | None = None,
    shape: Shape | None = None,
    *,
    mmap: bool = False,
    finite: bool = False,
) -> np.ndarray:
    """One array of an ``.npy`` file, checked and never unpickled.

    Args:
        mmap (bool): map the file, for reading only, instead of loading it.

    Raises:
        InputError: as :func:`load_npz`.
    """
    try:
        # numpy.load notices a truncated file by its length; a memmap would not.
        with HEADER:
            array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an archive, not an array")
    except _DAMAGED as error:
        raise _not_loaded(path, error, "an .npy file") from None
    return _checked(path, "", array, kind, shape, finite)


def sha256(path: StrPath) -> str:
    """Hexadecimal SHA-256 of a file.

    Raises:
        InputError: if it cannot be read, or is not a file (a device may have no end).
    """
    digest = hashlib.sha256()
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path}: not a file; check the name")
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise _refused(path, error) from None
    except ValueError:  # a zero byte, or characters that no file system has
        raise InputError(f"{shorten(str(path))}: not a possible file name; check it") from None
    return digest.hexdigest()


@contextlib.contextmanager
def folder_lock(folder: StrPath, places: Iterable[str] = ("",)) -> Iterator[None]:
    """Lock a folder, so that two runs do not use it.  The kernel releases the lock if we die.

    At the end, temporary files of workers that were stopped are removed.

    Args:
        folder: DIR, made where it is missing; it must be the program's own, or empty.
        places: see :func:`remove_temporaries`.

    Raises:
        InputError: if another process has the lock, or the folder is not writable.
    """
    folder = Path(folder)
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{folder}: another run uses this folder; wait for it or choose another --out"
        ) from None
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror or error}); choose another --out"
        ) from None
    # Outside of the try above: an error of the body is not one of the lock.
    try:
        yield
    finally:
        remove_temporaries(folder, places)
        lock.release()
