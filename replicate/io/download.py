"""Corpus and word vectors from their publishers, checked before use (sections 5.1, 5.3)."""

import contextlib
import gzip
import hashlib
import io
import os
import re
import shutil
import ssl
import tarfile
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3
from filelock import FileLock, Timeout

from .errors import InputError
from .files import DAMAGED_TAR, atomic, sync_folder
from .files import sha256 as checksum

__all__ = ["CORPUS", "CORPUS_ARCHIVE", "VECTORS", "Source", "download", "fetch", "unpack_corpus"]

_BLOCK = 1 << 16
# Bytes taken of a file of unknown size, and bytes that an archive may unpack to.
_LIMIT = 16 << 20
_MEMBERS = 100
_HTML = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html)", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """A published file: where it lies, and how to tell that it is the right one.

    Attributes:
        name (str): its name in the folder.
        urls (tuple of str): its mirrors, tried in turn.
        sha256 (str): hexadecimal; None when only its content can be judged.
        size (int): bytes; None when unknown, then at most 16 MiB are taken.

    Example:
        >>> Source("a.txt", ("https://example.org/a.txt",), 64 * "0", 3).size
        3
    """

    name: str
    urls: tuple
    sha256: str | None
    size: int | None = None


_KIM = "https://raw.githubusercontent.com/yoonkim/CNN_sentence/master/"
_POS_SHA256 = "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0"
_NEG_SHA256 = "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca"

#: The sentence polarity dataset v1.0: positive, negative.
CORPUS = (
    Source("rt-polarity.pos", (_KIM + "rt-polarity.pos",), _POS_SHA256, 626_139),
    Source("rt-polarity.neg", (_KIM + "rt-polarity.neg",), _NEG_SHA256, 612_256),
)

#: The archive of both.  A mirror may pack it anew, so the two files in it are what is checked.
CORPUS_ARCHIVE = Source(
    "rt-polaritydata.tar.gz",
    (
        "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz",
        "https://storage.googleapis.com/seldon-datasets/sentence_polarity_v1/rt-polaritydata.tar.gz",
    ),
    None,
)

#: The word vectors.  gensim-data's word2vec-google-news-300.gz is packed
#: otherwise (1,743,563,840 bytes), so it is no mirror of this file.
VECTORS = Source(
    "GoogleNews-vectors-negative300.bin.gz",
    (
        "https://s3.amazonaws.com/dl4j-distribution/GoogleNews-vectors-negative300.bin.gz",
        "https://github.com/mmihaltz/word2vec-GoogleNews-vectors/raw/master/"
        "GoogleNews-vectors-negative300.bin.gz",
    ),
    "21c05ae916a67a4da59b1d006903355cced7de7da1e42bff9f0504198c748da8",
    1_647_046_227,
)


class _Refused(Exception):
    """This mirror does not have the file: ask the next one."""


class _Wrong(_Refused):
    """What has arrived is not the file: nothing of it is worth continuing."""


class _Broken(Exception):
    """May pass: ask the same mirror again."""


class _Unreached(_Broken):
    """There was no answer at all."""


@dataclass(frozen=True)
class _Way:
    """How to download; see :func:`download`."""

    progress: object = None
    timeout: tuple = (10, 60)
    retries: int = 5
    sleep: object = time.sleep
    allow_http: bool = False

    def check(self, sources):
        schemes = ("https://", "http://") if self.allow_http else ("https://",)
        for source in sources:
            for url in source.urls:
                if not url.startswith(schemes):
                    raise InputError(f"{source.name}: {url} is not HTTPS; give an https:// address")


def fetch(dest_dir, *, corpus=True, vectors=True, progress=None, **way):
    """Bring the corpus and the word vectors into a folder; right files that are there stay.

    Args:
        dest_dir: the folder, made when missing.
        corpus (bool): the two files of the sentence polarity dataset.
        vectors (bool): the GoogleNews vectors, 1.6 GB.
        progress, way: as of :func:`download`.

    Returns:
        dict: name of each file -> its path.

    Raises:
        InputError: as :func:`download`.

    Example:
        >>> fetch(tempfile.mkdtemp(), corpus=False, vectors=False)
        {}
    """
    dest, way, paths = Path(dest_dir), _Way(progress, **way), []
    way.check((CORPUS_ARCHIVE, *CORPUS, VECTORS))
    with _held(dest):
        if corpus:
            paths += _get_corpus(dest, way)
        if vectors:
            paths.append(_get(VECTORS, dest, way))
    return {path.name: path for path in paths}


def download(
    source,
    dest_dir,
    *,
    progress=None,
    timeout=(10, 60),
    retries=5,
    sleep=time.sleep,
    allow_http=False,
):
    """Bring one published file into a folder; it has its name only when whole and right.

    Until then it is ``NAME.part``, which the next call continues.

    Args:
        source (Source): the file, with its sha256.
        dest_dir: the folder, made when missing.
        progress (callable): called with name, bytes done, and bytes in all
            or None.
        timeout (tuple): seconds to connect, and seconds without a byte.
        retries (int): how often to ask a mirror again that brings nothing
            new, after 1, 2, 4, ... seconds; at most twice when it never answers.
        sleep (callable): waits so many seconds.
        allow_http (bool): take ``http://`` too; for tests.

    Returns:
        pathlib.Path: the file.

    Raises:
        InputError: when no mirror gives the file (with the reason of each),
            an address is not HTTPS, the folder cannot be written or is in
            use, or the disk is full.

    Example:
        >>> source = Source("a", ("https://example.org/a",), hashlib.sha256(b"a").hexdigest(), 1)
        >>> there = Path(tempfile.mkdtemp()) / "a"
        >>> _ = there.write_bytes(b"a")
        >>> download(source, there.parent) == there  # without asking example.org
        True
    """
    dest, way = Path(dest_dir), _Way(progress, timeout, retries, sleep, allow_http)
    way.check([source])
    with _held(dest):
        return _get(source, dest, way)


def unpack_corpus(archive, dest_dir, *, files=CORPUS):
    """Take the files of the corpus out of their ``.tar.gz``, and nothing else.

    Args:
        archive: the ``.tar.gz``; names in it are compared, never used as paths.
        dest_dir: the folder to write to.
        files (tuple of Source): what is wanted, with sha256.

    Returns:
        tuple of pathlib.Path: positive, negative.

    Raises:
        InputError: for an archive that is truncated or unpacks to more than
            16 MiB; that holds links, devices, or names that lead out of it;
            that lacks, repeats or alters a file; or when a file cannot be
            read or written.

    Example:
        >>> unpack_corpus("no.tar.gz", ".")
        Traceback (most recent call last):
            ...
        replicate.io.errors.InputError: no.tar.gz: cannot be read (No such file or directory); check the name
    """
    try:
        return _unpack(Path(archive), Path(dest_dir), files)
    except _Refused as error:
        raise InputError(f"{archive}: {error}; remove it and fetch it again") from None


@contextlib.contextmanager
def _held(folder):
    """Keep other fetches off a folder; what the disk refuses becomes one clear line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".fetch.lock", timeout=0):
            yield
    except Timeout:
        raise InputError(
            f"{folder}: another fetch is at work there; wait for it or choose another folder"
        ) from None
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror or error}); free space or choose "
            "another folder, then run the same command again"
        ) from error


def _get_corpus(dest, way):
    paths = [dest / source.name for source in CORPUS]
    if all(map(_is_right, paths, CORPUS)):
        return paths
    reasons = []
    # A folder of its own, because the archive is neither kept nor continued.
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=dest) as folder:
        part = Path(folder, CORPUS_ARCHIVE.name)
        if _from_mirrors(CORPUS_ARCHIVE, part, way, reasons, lambda: _unpack(part, dest, CORPUS)):
            return paths
    return [_get(source, dest, way, tuple(reasons)) for source in CORPUS]


def _get(source, dest, way, reasons=()):
    path, part, reasons = dest / source.name, dest / f"{source.name}.part", list(reasons)
    if _is_right(path, source):
        return path
    missing, free = (source.size or 0) - _size(part), shutil.disk_usage(dest).free
    if missing > free:
        raise InputError(
            f"{path}: {missing:,} more bytes are needed, {free:,} are free; "
            "free space or choose another folder"
        )
    if not _from_mirrors(source, part, way, reasons):
        raise InputError(
            f"{source.name}: no mirror gave it ({'; '.join(reasons)}); look at the network and "
            f"run again, or put it into {dest} yourself (sha256 {source.sha256})"
        )
    os.replace(part, path)
    sync_folder(dest)
    return path


def _from_mirrors(source, part, way, reasons, use=None):
    """Whether a mirror completed `part` and `use` did not refuse it; if not, `reasons` grow."""
    with requests.Session() as session:
        if not way.allow_http:
            # So that no redirect leads to plain HTTP either.
            del session.adapters["http://"]
        for url in source.urls:
            try:
                _from_mirror(session, url, source, part, way)
                if use is not None:
                    use()
                return True
            except _Refused as error:
                if isinstance(error, _Wrong):
                    part.unlink(missing_ok=True)
                reasons.append(f"{url}: {error}")
    return False


def _from_mirror(session, url, source, part, way):
    furthest, failures, answered, tag = _size(part), 0, False, {}
    while True:
        try:
            start = _receive(session, url, source, part, way, tag)
            if source.sha256 in (None, checksum(part)):
                return
            part.unlink()
            # Pieces of two different files agree with neither: then again, in one piece.
            raise (_Broken if start else _Wrong)("its sha256 is not the published one")
        except _Broken as error:
            if source.sha256 is None:
                part.unlink(missing_ok=True)
            answered = answered or not isinstance(error, _Unreached)
            if _size(part) > furthest:
                furthest, failures = _size(part), 0
            # Who has no network should not wait minutes to hear it.
            if failures >= (way.retries if answered else min(way.retries, 2)):
                raise _Refused(str(error)) from None
            way.sleep(2**failures)
            failures += 1


def _receive(session, url, source, part, way, tag):
    """Append to `part` what it lacks; return the byte at which this began."""
    done, limit = _size(part), source.size or _LIMIT
    if done == source.size:
        return done
    # Identity: the bytes as they are stored, neither packed nor unpacked on the way.
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers.update({"Range": f"bytes={done}-", **tag})
    try:
        with session.get(url, headers=headers, stream=True, timeout=way.timeout) as response:
            done = start = _first_byte(response, done, part)
            rest = response.raw.length_remaining
            total = source.size if rest is None else start + rest
            if total is not None and (total > limit or total != (source.size or total)):
                raise _Refused(f"{total:,} bytes instead of {limit:,}")
            etag = response.headers.get("ETag", "")
            tag.update({"If-Range": etag} if etag.startswith('"') else {})
            block = response.raw.read(_BLOCK, decode_content=False)
            if start == 0 and _HTML.match(block):
                raise _Refused("an HTML page instead of the file")
            with open(part, "ab" if start else "wb") as file:
                while block:
                    done += len(block)
                    if done > limit:
                        raise _Wrong(f"more than {limit:,} bytes")
                    file.write(block)
                    if way.progress is not None:
                        way.progress(source.name, done, total)
                    block = response.raw.read(_BLOCK, decode_content=False)
                file.flush()
                os.fsync(file.fileno())
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _reason(error, _size(part)) from None
    if done < (source.size or 0):
        raise _Broken(f"broken off at byte {done:,} of {source.size:,}")
    return start


def _first_byte(response, done, part):
    """Byte of the file at which the body of `response` begins."""
    status, headers = response.status_code, response.headers
    if status == 416:
        part.unlink(missing_ok=True)
        raise _Broken("HTTP 416, no such range")
    if status in (408, 429) or status >= 500:
        raise _Broken(f"HTTP {status}")
    if status not in (200, 206):
        raise _Refused(f"HTTP {status}")
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        raise _Refused("an HTML page instead of the file")
    if status == 200:
        return 0
    if not headers.get("Content-Range", "").startswith(f"bytes {done}-"):
        raise _Refused("HTTP 206 with another range than was asked for")
    return done


def _reason(error, done):
    """A fault of the network as one of our own, told by its innermost cause."""
    root = error
    while root.__context__ is not None:
        root = root.__context__
    text = " ".join(str(root).split()) or type(root).__name__
    final = (requests.exceptions.InvalidSchema, requests.exceptions.TooManyRedirects)
    if isinstance(error, final) or isinstance(root, ssl.SSLCertVerificationError):
        return _Refused(f"not to be trusted ({text})")
    if isinstance(error, requests.ConnectionError):
        return _Unreached(f"no connection ({text})")
    return _Broken(f"broken off at byte {done:,} ({text})")


def _unpack(archive, dest, files):
    try:
        with gzip.open(archive) as stream:
            data = stream.read(_LIMIT + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _Wrong(f"a truncated or damaged archive ({error})") from None
    except OSError as error:
        raise InputError(f"{archive}: cannot be read ({error.strerror}); check the name") from None
    if len(data) > _LIMIT:
        raise _Wrong(f"it unpacks to more than {_LIMIT:,} bytes")
    try:
        found = _members(data, {source.name for source in files})
    except DAMAGED_TAR as error:
        raise _Wrong(f"a truncated or damaged archive ({error})") from None
    for source in files:
        if source.name not in found:
            raise _Wrong(f"there is no {source.name} in it")
        if hashlib.sha256(found[source.name]).hexdigest() != source.sha256:
            raise _Wrong(f"its {source.name} is not the published file")
    for source in files:
        with atomic(dest / source.name) as file:
            file.write(found[source.name])
    return tuple(dest / source.name for source in files)


def _members(data, wanted):
    """Contents of the wanted files of a tar archive in memory, by base name."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for number, member in enumerate(tar):
            parts = member.name.replace("\\", "/").split("/")
            if number >= _MEMBERS:
                raise _Wrong(f"it has more than {_MEMBERS} members")
            if parts[0] == "" or ".." in parts or ":" in parts[0]:
                raise _Wrong(f"its member {member.name!r} leads out of the folder")
            if not (member.isreg() or member.isdir()):
                raise _Wrong(f"its member {member.name!r} is a link or a device")
            # A header may promise any size, and a sparse file has it.
            if not 0 <= member.size <= _LIMIT:
                raise _Wrong(f"its member {member.name!r} is too large ({member.size:,} bytes)")
            if member.isreg() and parts[-1] in wanted:
                if parts[-1] in found:
                    raise _Wrong(f"it has {parts[-1]} twice")
                found[parts[-1]] = tar.extractfile(member).read()
    return found


def _is_right(path, source):
    same_size = path.is_file() and source.size in (None, path.stat().st_size)
    return same_size and checksum(path) == source.sha256


def _size(path):
    return path.stat().st_size if path.is_file() else 0
