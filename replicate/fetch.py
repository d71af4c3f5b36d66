"""Corpus and word vectors from their publishers, checked before use (sections 5.1 and 5.3)."""

import contextlib
import dataclasses
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

from .config import InputError
from .storage import atomic
from .storage import sha256 as checksum

__all__ = ["CORPUS", "CORPUS_ARCHIVE", "VECTORS", "Source", "download", "fetch", "unpack_corpus"]

_BLOCK = 1 << 16
# Bytes read of a file whose size is not published, and bytes that an archive unpacks to.
_LIMIT = 16 << 20
_MEMBERS_LIMIT = 100


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

#: The two files of the sentence polarity dataset v1.0: positive, negative.
CORPUS = (
    Source(
        "rt-polarity.pos",
        (_KIM + "rt-polarity.pos",),
        "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0",
        626_139,
    ),
    Source(
        "rt-polarity.neg",
        (_KIM + "rt-polarity.neg",),
        "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca",
        612_256,
    ),
)

#: The archive that holds both.  Mirrors may pack it anew: the two files are what is checked.
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
    """What has arrived is not the file: nothing of it may be continued."""


class _Broken(Exception):
    """May pass: ask the same mirror again."""


class _Unreached(_Broken):
    """There was no answer at all."""


def fetch(dest_dir, *, corpus=True, vectors=True, progress=None, **options):
    """Bring the corpus and the word vectors into a folder; what is there already stays.

    Args:
        dest_dir: the folder, made when missing.
        corpus (bool): the two files of the sentence polarity dataset.
        vectors (bool): the GoogleNews vectors, 1.6 GB.
        progress, options: as of :func:`download`.

    Returns:
        dict: name of each file -> its path.

    Raises:
        InputError: as :func:`download`; all mirrors and their failures are named.

    Example:
        >>> fetch(tempfile.mkdtemp(), corpus=False, vectors=False)
        {}
    """
    options = _options(progress=progress, **options)
    sources = (*(CORPUS_ARCHIVE, *CORPUS) * corpus, *(VECTORS,) * vectors)
    _check_addresses(sources, options)
    dest, paths = Path(dest_dir), []
    with _folder(dest):
        if corpus:
            paths += _get_corpus(dest, options)
        if vectors:
            paths.append(_get(VECTORS, dest, options))
    return {path.name: path for path in paths}


def download(source, dest_dir, *, progress=None, **options):
    """Bring one published file into a folder, under its name only when whole and right.

    What has arrived stays in ``NAME.part`` until then, and the next call continues it.

    Args:
        source (Source): the file.
        dest_dir: the folder, made when missing.
        progress (callable): called with name, bytes done and bytes in all
            (None when unknown).
        timeout (tuple): seconds to connect, seconds without a byte; (10, 60).
        retries (int): tries of a mirror after one that brought nothing new,
            after 1, 2, 4, ... seconds; 5, but 2 for a mirror that never answers.
        sleep (callable): waits that many seconds; ``time.sleep``.
        allow_http (bool): take plain ``http://`` too, for tests; False.

    Returns:
        pathlib.Path: the file.

    Raises:
        InputError: when no mirror gives the file, an address is not HTTPS,
            the folder cannot be written or is in use, or the disk is full.

    Example:
        >>> source = Source("a", ("https://example.org/a",), hashlib.sha256(b"a").hexdigest(), 1)
        >>> there = Path(tempfile.mkdtemp()) / "a"
        >>> _ = there.write_bytes(b"a")
        >>> download(source, there.parent) == there  # no need to ask example.org
        True
    """
    options = _options(progress=progress, **options)
    _check_addresses((source,), options)
    with _folder(Path(dest_dir)):
        return _get(source, Path(dest_dir), options)


def unpack_corpus(archive, dest_dir, *, files=CORPUS):
    """Take the two files of the corpus out of its ``.tar.gz``, and nothing else.

    Names in the archive are compared, never used as paths.

    Args:
        archive: the ``.tar.gz``.
        dest_dir: the folder to write to.
        files (tuple of Source): what is wanted, with size and sha256.

    Returns:
        tuple of pathlib.Path: one a file, here positive, negative.

    Raises:
        InputError: for an archive that is truncated, too large when unpacked,
            or lacks or repeats a file; that holds links, devices, or names
            that lead elsewhere; whose files are not the published ones; or
            when the folder cannot be written.

    Example:
        >>> unpack_corpus("no.tar.gz", ".")
        Traceback (most recent call last):
            ...
        replicate.config.InputError: no.tar.gz: cannot be read (No such file or directory); check the name
    """
    try:
        return _unpack(Path(archive), Path(dest_dir), files)
    except _Refused as error:
        raise InputError(f"{archive}: {error}; remove it and fetch it again") from None


def _options(progress, timeout=(10, 60), retries=5, sleep=time.sleep, allow_http=False):
    return dict(
        progress=progress or (lambda name, done, total: None),
        timeout=timeout,
        retries=retries,
        sleep=sleep,
        allow_http=allow_http,
    )


def _check_addresses(sources, options):
    schemes = ("https://", "http://") if options["allow_http"] else ("https://",)
    for source in sources:
        for url in source.urls:
            if not url.startswith(schemes):
                raise InputError(f"{source.name}: {url} is not HTTPS; give an https:// address")


@contextlib.contextmanager
def _folder(folder):
    """Hold a folder against other fetches; what the disk refuses becomes one clear line."""
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
            "another folder, then run the same command again: what has arrived is kept"
        ) from error


def _get_corpus(dest, options):
    paths = [dest / source.name for source in CORPUS]
    if all(_is_there(path, source) for path, source in zip(paths, CORPUS)):
        return paths
    reasons = []
    for url in CORPUS_ARCHIVE.urls:
        try:
            # Without a checksum of its own the archive must not be continued
            # or left behind, so it gets a folder that goes with it.
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=dest) as folder:
                source = dataclasses.replace(CORPUS_ARCHIVE, urls=(url,))
                archive = _try_mirrors(source, Path(folder), options)
                try:
                    return _unpack(archive, dest, CORPUS)
                except _Refused as error:
                    raise _Refused(f"{url}: {error}") from None
        except _Refused as error:
            reasons.append(str(error))
    return [_get(source, dest, options, reasons) for source in CORPUS]


def _get(source, dest, options, reasons=()):
    try:
        return _try_mirrors(source, dest, options)
    except _Refused as error:
        raise InputError(
            f"{source.name}: no mirror gave it ({'; '.join([*reasons, str(error)])}); look at the "
            f"network and run again, or put it into {dest} yourself (sha256 {source.sha256})"
        ) from None


def _is_there(path, source):
    right_size = path.is_file() and source.size in (None, path.stat().st_size)
    return right_size and checksum(path) == source.sha256


def _try_mirrors(source, dest, options):
    path, part = dest / source.name, dest / f"{source.name}.part"
    if _is_there(path, source):
        return path
    missing, free = (source.size or 0) - _size(part), shutil.disk_usage(dest).free
    if missing > free:
        raise InputError(
            f"{path}: {missing:,} bytes more are needed and {free:,} are free; "
            "free space or choose another folder"
        )
    reasons = []
    with requests.Session() as session:
        if not options["allow_http"]:
            # So that no redirect leads to plain HTTP either.
            del session.adapters["http://"]
        for url in source.urls:
            try:
                _from_mirror(session, url, source, part, options)
            except _Refused as error:
                reasons.append(f"{url}: {error}")
                continue
            os.replace(part, path)
            _forget(part)
            return path
    raise _Refused("; ".join(reasons))


def _from_mirror(session, url, source, part, options):
    """Complete `part` from one mirror, with waits; raise _Refused when that does not come about."""
    furthest, failures, answered = _size(part), 0, False
    while True:
        try:
            start = _receive(session, url, source, part, options)
            if source.sha256 not in (None, checksum(part)):
                # Pieces of two different files agree with neither: once more, in one go.
                kind = _Wrong if start == 0 else _Broken
                _forget(part)
                raise kind("its sha256 is not the published one")
            return
        except _Wrong:
            _forget(part)
            raise
        except _Broken as error:
            if source.sha256 is None:
                _forget(part)
            if _size(part) > furthest:
                furthest, failures = _size(part), 0
            answered = answered or not isinstance(error, _Unreached)
            # Who has no network should not wait minutes to be told.
            if failures == (options["retries"] if answered else min(options["retries"], 2)):
                raise _Refused(str(error)) from None
            options["sleep"](2**failures)
            failures += 1


def _receive(session, url, source, part, options):
    """Append to `part` what it lacks; return the byte at which this began."""
    done, limit = _size(part), source.size or _LIMIT
    if done == source.size:
        return done
    # Bytes as they are stored: a server may otherwise unpack or pack a .gz.
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
        if tag := _stored_tag(part, url):
            headers["If-Range"] = tag
    try:
        with session.get(url, headers=headers, stream=True, timeout=options["timeout"]) as response:
            start = _first_byte(response, done, part, source)
            rest = response.raw.length_remaining
            total = source.size if rest is None else start + rest
            if start == done > 0 and response.status_code == 416:
                return start
            if total is not None and (total > limit or total != (source.size or total)):
                raise _Refused(f"it has {total:,} bytes there, not {limit:,}")
            done = start
            block = response.raw.read(_BLOCK, decode_content=False)
            if start == 0 and _is_html(block):
                raise _Refused("an HTML page, not the file")
            with open(part, "ab" if start else "wb") as file:
                if start == 0:
                    _store_tag(part, url, response.headers.get("ETag", ""))
                while block:
                    done += len(block)
                    if done > limit:
                        raise _Wrong(f"more than the {limit:,} bytes it should have")
                    file.write(block)
                    options["progress"](source.name, done, total)
                    block = response.raw.read(_BLOCK, decode_content=False)
                file.flush()
                os.fsync(file.fileno())
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _sorted_out(error, _size(part)) from None
    if done < (source.size or 0):
        raise _Broken(f"broken off at byte {done:,} of {source.size:,}")
    return start


def _first_byte(response, done, part, source):
    """Byte at which the answer begins, when it is an answer with the file."""
    status = response.status_code
    if status == 416:
        # Nothing after our last byte: we have all, or we have something else.
        if source.sha256 and response.headers.get("Content-Range") == f"bytes */{done}":
            return done
        _forget(part)
        raise _Broken("HTTP 416, it has no such range")
    if status in (408, 429) or status >= 500:
        raise _Broken(f"HTTP {status}")
    if status not in (200, 206):
        raise _Refused(f"HTTP {status}")
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise _Refused("an HTML page, not the file")
    if status == 200:
        return 0
    if not re.match(rf"bytes {done}-", response.headers.get("Content-Range", "")):
        raise _Refused("HTTP 206 with another range than asked for")
    return done
