"""Where stages meet: files written whole or not at all, read with checks, never unpickled."""

import contextlib
import csv
import hashlib
import io
import json
import math
import os
import re
import struct
import sys
import tarfile
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from .errors import InputError, shorten

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "DAMAGED_TAR",
    "atomic",
    "folder_lock",
    "is_temporary",
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


_TEXT_LIMIT = 64 << 20
# A name that nobody else gives: what has it may be removed.
_TEMPORARY = ".replicate.part"
# More names joined by dots than any table here has: tomllib's memory grows
# with the square of their number.
_LONG_KEY = re.compile(r"""(\.[ \t]*("(\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*){20}""")


#: What tarfile raises at damaged bytes, each in its way.
DAMAGED_TAR = (
    tarfile.TarError, EOFError, IndexError, OverflowError, RecursionError, UnicodeError, ValueError,
)  # fmt: skip


def toml_table(text, where):
    """A table from TOML text.

    Raises:
        InputError: for text that is not TOML, or nested too deep.
    """
    if _LONG_KEY.search(text):
        raise InputError(f"{where}: a name of more than 20 parts; no table is that deep, remove it")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{where}: nested too deep; no setting is, remove it") from None
    except ValueError as error:  # TOMLDecodeError is one; a number of thousands of digits, too
        raise InputError(f"{where}: not TOML ({error}); correct that place") from None


def read_text(path):
    """Text of a UTF-8 file of at most 64 MiB.

    Raises:
        InputError: when it is missing, no file, too large, not readable or not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_TEXT_LIMIT + 1)
        if len(data) > _TEXT_LIMIT:
            raise InputError(f"{path}: longer than {_TEXT_LIMIT:,} bytes; is it the right file?")
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text at byte {error.start}; save it as UTF-8"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name") from None


@contextlib.contextmanager
def atomic(path):
    """A binary file that appears under `path` only when it is complete.

    Written beside its place under a temporary name, flushed to the disk and
    moved.  On any error the temporary file is removed and `path` is as before.

    Raises:
        InputError: when the disk is full or the place cannot be written.

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


def is_temporary(path: str | Path) -> bool:
    """Whether a name is one that :func:`atomic` gives a file while it is written."""
    return re.fullmatch(rf"\..+\.[0-9]+{re.escape(_TEMPORARY)}", Path(path).name) is not None


def remove_temporaries(folder: str | Path) -> None:
    """Remove what killed processes left of :func:`atomic`; the folder's lock must be held."""
    for path in Path(folder).rglob(f".*{_TEMPORARY}"):
        if is_temporary(path):
            temporary_gone(path)


def temporary_gone(path):
    """Remove `path` if it can be removed: an error on the way out hides no other."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def sync_folder(folder):
    """Make a rename survive a power cut; not every file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def save_npy(path, array):
    """Write one array; see :func:`atomic`."""
    with atomic(path) as file:
        np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def save_npz(path, arrays):
    """Write named arrays; equal arrays give equal bytes."""
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    for name, value in arrays.items():
        if value.dtype.hasobject:
            raise ValueError(f"{name} holds objects, which only pickle could store")
    with atomic(path) as file:
        # numpy.savez dates its members 1980-01-01, so time does not enter.
        np.savez(file, **arrays)


def save_text(path, text):
    """Write UTF-8 text; see :func:`atomic`."""
    with atomic(path) as file:
        file.write(text.encode("utf-8"))


def save_json(path, value):
    """Write JSON with sorted keys off, indented, and a final line end."""
    save_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def save_csv(path, header, rows):
    """Write a CSV table; floats keep all digits (``repr``)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    save_text(path, text.getvalue())


def _cell(value):
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return value


def read_csv(path, header, numbers=None):
    """Rows of a CSV table as dictionaries of text, or of numbers where that is told.

    Args:
        path: the file.
        header: names of its columns.
        numbers (dict): column -> ``int`` or ``float``.

    Raises:
        InputError: when the file is missing, its header is another, or a
            number is none.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames is None or list(reader.fieldnames) != list(header):
                raise InputError(
                    f"{path}: line 1 should read {','.join(header)}; remove the file and run again"
                )
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); run the experiment again") from None
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InputError(f"{path}: line {number} is torn; remove the file and run again")
        for name, kind in (numbers or {}).items():
            try:
                row[name] = kind(row[name])
            except ValueError:
                raise InputError(
                    f"{path}: line {number} has {name} = {shorten(row[name])}, which is no number; "
                    "remove the file and run again"
                ) from None
    return rows


def load_json(path):
    """JSON of one of our own files.

    Raises:
        InputError: when it is missing, not JSON, or nothing that
            :func:`save_json` could have written.
    """
    try:
        value = json.loads(read_text(path))
        # Neither infinity nor half a surrogate pair: they would fail further on.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        told = str(error).removeprefix(f"{path}: ").partition(";")[0]
        raise InputError(f"{path}: cannot be read ({told}); is this a run folder?") from None
    return value


#: What NumPy and zipfile raise at damaged bytes, each in its way.
_DAMAGED = (
    ValueError,
    KeyError,
    OSError,
    EOFError,
    RuntimeError,  # "encrypted", "bad zip flags", a compression that zipfile lacks
    SyntaxError,
    TypeError,  # a header of unlike or unhashable keys
    IndexError,
    MemoryError,
    OverflowError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def _one_line(error):
    return " ".join(str(error).split())[:200] or type(error).__name__


def _checked(path, name, array, kind, shape, finite):
    where = f"{path}: {name}" if name else str(path)
    if array.dtype.kind == "U" and not _is_text(array):
        raise InputError(f"{where} holds what is no text; it is not of this program, remove it")
    if kind is not None and array.dtype.kind not in kind:
        raise InputError(f"{where} has dtype {array.dtype}; it is not of this program, remove it")
    if shape is not None:
        fits = array.ndim == len(shape) and all(
            want is None or have == want for have, want in zip(array.shape, shape)
        )
        if not fits:
            raise InputError(f"{where} has shape {array.shape}, not {shape}; remove it")
    if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{where} holds NaN or infinity; remove it and run again")
    return array


def _is_text(array):
    """Whether all characters of a text array are some: NumPy reads any four bytes as one."""
    codes = np.ascontiguousarray(array).reshape(-1).view(array.dtype.byteorder + "u4")
    return not (codes > 0x10FFFF).any() and not ((codes >> 11) == 0xD800 >> 11).any()


def load_npz(path, spec=None, *, finite=True, mapped=()):
    """Named arrays of an ``.npz`` file, checked and never unpickled.

    Args:
        path: the file.
        spec (dict): name -> (dtype kinds, shape), with None for a free
            extent; the file must hold just these names.  None: any names.
        finite (bool): refuse NaN and infinity.
        mapped: names of arrays that stay on the disk and are mapped, where
            the archive is not compressed; what is written to them is lost.

    Returns:
        dict: name -> array.

    Raises:
        InputError: when it is missing, damaged, pickled, or not as `spec` says.
    """
    try:
        # numpy.load leaves a damaged archive open, and gives bytes for a member
        # that is no array.
        with open(path, "rb") as raw, zipfile.ZipFile(raw) as archive:
            arrays = {}
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in mapped and member.compress_type == zipfile.ZIP_STORED:
                    arrays[name] = _mapped(raw, member)
                    continue
                with archive.open(member) as file:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    except _DAMAGED as error:
        raise InputError(f"{path}: not a sound .npz file ({_one_line(error)}); remove it") from None
    if spec is None:
        spec = dict.fromkeys(arrays, ("biufU", None))
    if set(spec) != set(arrays):
        odd = _one_line(", ".join(sorted(set(spec) ^ set(arrays))))
        raise InputError(f"{path}: the arrays {odd} are missing or too many; remove it")
    for name, (kind, shape) in spec.items():
        _checked(path, name, arrays[name], kind, shape, finite)
    return arrays


def _mapped(raw, member):
    """A stored member of an archive as an array on the disk."""
    # The local header has its own lengths of name and extra field, at bytes 26 to 29.
    raw.seek(member.header_offset + 26)
    name, extra = struct.unpack("<HH", raw.read(4))
    raw.seek(name + extra, os.SEEK_CUR)
    start = raw.tell()
    version = np.lib.format.read_magic(raw)
    if version != (1, 0):
        raise ValueError("a header of another kind")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(raw)
    size = dtype.itemsize * math.prod(shape)
    if dtype.hasobject or fortran or raw.tell() + size != start + member.file_size:
        raise ValueError("its length is not that of its header")
    if not size:
        return np.zeros(shape, dtype)
    # Copy on write: the compiled loops take it as any other array.
    return np.asarray(np.memmap(raw.name, dtype, "c", raw.tell(), shape))


def load_npy(path, kind=None, shape=None, *, mmap=False, finite=False):
    """One array of an ``.npy`` file, checked and never unpickled.

    Args:
        mmap (bool): map the file instead of reading it; read only.

    Raises:
        InputError: as :func:`load_npz`.
    """
    try:
        # A truncated file is told by its length: mapping it would not say so.
        array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an archive, not an array")
    except _DAMAGED as error:
        raise InputError(f"{path}: not a sound .npy file ({_one_line(error)}); remove it") from None
    return _checked(path, "", array, kind, shape, finite)


def sha256(path):
    """Hexadecimal SHA-256 of a file.

    Raises:
        InputError: when it cannot be read, or is a device, which may have no end.
    """
    digest = hashlib.sha256()
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path}: no file; check the name")
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    except ValueError:  # a zero byte, or what no file system can write
        raise InputError(f"{shorten(str(path))}: no name of a file; check it") from None
    return digest.hexdigest()


@contextlib.contextmanager
def folder_lock(folder):
    """Keep two runs off one folder.  The kernel frees it when its holder dies.

    At the end what workers were writing when they were ended is removed.

    Raises:
        InputError: when another process holds it, or the folder is not writable.
    """
    folder = Path(folder)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{folder}: another run is at work there; wait for it or choose another --out"
        ) from None
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror or error}); choose another --out"
        ) from None
    # Errors of the body are its own.
    try:
        yield
    finally:
        remove_temporaries(folder)
        lock.release()
