"""Corpora and word vectors from their publishers, checked before use (sections 5.1, 5.3)."""

import contextlib
import hashlib
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import requests
from filelock import FileLock, Timeout
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from .corpora import polarity_archive
from .errors import InputError
from .files import atomic, sync_folder
from .files import sha256 as checksum
from .published import Published, Source, published

__all__ = ["VECTORS", "fetch"]

_BLOCK = 1 << 16
_ARCHIVE_LIMIT = 16 << 20
_HTML = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html)", re.IGNORECASE)
#: Seconds to connect, and seconds without a byte.
_TIMEOUT = (10, 60)
#: What passes is waited out: 0, 2, 4, ... seconds.  Who has no network hears it soon.
_RETRY = Retry(
    total=5,
    connect=2,
    read=2,
    other=0,  # a certificate that is not trusted
    backoff_factor=1,
    status_forcelist=(408, 429, 500, 502, 503, 504),
    raise_on_status=False,
    respect_retry_after_header=False,
)
#: Connections to one mirror, each of which goes on where the last one broke off.
_CONNECTIONS = 20


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

Progress = Callable[[str, int, int], None]


class _Refused(Exception):
    """This mirror does not give the file: ask the next one."""


def fetch(
    dest_dir: str | Path,
    *,
    corpora: Sequence[str] = ("mr",),
    vectors: bool = True,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Bring published corpora and the word vectors into a folder; right files that are there stay.

    A file has its name only when it is whole and right.  Until then it is
    ``NAME.part``, which the next call continues.

    Args:
        dest_dir: the folder, made when missing.
        corpora: names of published corpora; MR where none is given.
        vectors (bool): the GoogleNews vectors, 1.6 GB.
        progress (callable): called with name, bytes done, and bytes in all.

    Returns:
        dict: name of each file -> its path.

    Raises:
        InputError: for a name that is not one of a published corpus, when no mirror gives a file over HTTPS (with the reason
            of each), the folder cannot be written or is in use, the disk is
            full, or another file has the name of one.

    Example:
        >>> import tempfile
        >>> fetch(tempfile.mkdtemp(), corpora=(), vectors=False)
        {}
    """
    dest = Path(dest_dir)
    wanted = [published(name) for name in corpora]
    extra = [VECTORS] if vectors else []
    sources = [*(file for corpus in wanted for file in corpus.files), *extra]
    missing = [source for source in sources if not _is_there(dest / source.name, source)]
    with _held(dest), _session() as session:
        for corpus in wanted:
            lacks = [source for source in corpus.files if source in missing]
            refusals = _from_archives(session, corpus, dest) if lacks else []
            for source in lacks:
                _get(session, source, dest, progress, refusals)
        for source in extra:
            _get(session, source, dest, progress)
    return {source.name: dest / source.name for source in sources}


def _session() -> requests.Session:
    """HTTPS only: a redirect to plain HTTP finds no adapter either."""
    session = requests.Session()
    session.adapters.clear()
    session.mount("https://", HTTPAdapter(max_retries=_RETRY))
    return session


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other fetches off a folder; what the disk refuses becomes one clear line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".replicate.fetch.lock", timeout=0):
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


def _from_archives(session: requests.Session, corpus: Published, dest: Path) -> list[str]:
    """Take both files of MR from an archive; the reasons of the mirrors that failed."""
    refusals: list[str] = []
    for url in corpus.archives:
        try:
            with _answer(session, url) as response:
                data = b"".join(_blocks(response, _ARCHIVE_LIMIT))
            found = polarity_archive(data, "the archive")
            for source in corpus.files:
                if hashlib.sha256(found[source.name]).hexdigest() != source.sha256:
                    raise _Refused(f"its {source.name} is not the published file")
        except (_Refused, InputError, HTTPError) as error:
            refusals.append(f"{url}: {str(error).partition(';')[0]}")
            continue
        for source in corpus.files:
            with atomic(dest / source.name) as file:
                file.write(found[source.name])
        break
    return refusals


def _get(
    session: requests.Session,
    source: Source,
    dest: Path,
    progress: Progress | None,
    refusals: Sequence[str] = (),
) -> Path:
    path, part = dest / source.name, dest / f"{source.name}.part"
    if _is_right(path, source):
        return path
    missing, free = source.size - _size(part), shutil.disk_usage(dest).free
    if missing > free:
        raise InputError(
            f"{path}: {missing:,} more bytes are needed, {free:,} are free; "
            "free space or choose another folder"
        )
    reasons = list(refusals)
    for url in source.urls:
        try:
            _complete(session, url, source, part, progress)
        except _Refused as error:
            reasons.append(f"{url}: {error}")
            continue
        os.replace(part, path)
        sync_folder(dest)
        return path
    raise InputError(
        f"{source.name}: no mirror gave it ({'; '.join(reasons)}); check the network and "
        f"run again, or put it into {dest} yourself (sha256 {source.sha256})"
    )


def _complete(
    session: requests.Session, url: str, source: Source, part: Path, progress: Progress | None
) -> None:
    """Bring `part` to its end, again and again from where the connection broke off."""
    for _ in range(_CONNECTIONS):
        start = _size(part)
        reason = _append(session, url, source, part, progress) if start < source.size else ""
        if _size(part) >= source.size:
            if checksum(part) == source.sha256:
                return
            part.unlink()
            # Pieces of two different files agree with neither: then again, in one piece.
            if start == 0:
                raise _Refused("its sha256 is not the published one")
    raise _Refused(f"broken off at byte {_size(part):,} ({reason or 'closed'})")


def _append(
    session: requests.Session, url: str, source: Source, part: Path, progress: Progress | None
) -> str:
    """Add to `part` what one answer brings; the reason why it ended early, or ""."""
    start = _size(part)
    with _answer(session, url, start) as response:
        if response.status_code == 200:
            start = 0
        total = response.raw.length_remaining
        if total is not None and start + total != source.size:
            raise _Refused(f"{start + total:,} bytes instead of {source.size:,}")
        blocks = _blocks(response, source.size - start)
        try:
            first = next(blocks, b"")  # a page that is refused must cost nothing of `part`
        except HTTPError as error:
            return _cause(error)
        with open(part, "ab" if start else "wb") as file:
            try:
                for block in itertools.chain([first], blocks):
                    file.write(block)
                    if progress is not None:
                        progress(source.name, file.tell(), source.size)
            except HTTPError as error:
                return _cause(error)
            finally:
                file.flush()
                os.fsync(file.fileno())
    return ""


def _answer(session: requests.Session, url: str, start: int = 0) -> requests.Response:
    """The answer with the file from byte `start` on, or from its beginning (status 200)."""
    # Identity: the bytes as they are stored, neither packed nor unpacked on the way.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    try:
        response = session.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
    except (requests.RequestException, ValueError, HTTPError) as error:  # no network, a bad proxy
        raise _Refused(_cause(error)) from None
    except OSError as error:  # requests' own, for a bundle of certificates that is not there
        raise InputError(f"{_cause(error)}; correct or unset REQUESTS_CA_BUNDLE") from None
    place = response.headers.get("Content-Range", "")
    right_place = response.status_code == 206 and place.startswith(f"bytes {start}-")
    if response.status_code != 200 and not (start and right_place):
        response.close()
        raise _Refused(f"HTTP {response.status_code} {response.reason}".strip())
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        response.close()
        raise _Refused("an HTML page instead of the file")
    return response


def _blocks(response: requests.Response, limit: int) -> Iterator[bytes]:
    """The bytes of an answer, at most `limit`, that do not begin as an HTML page does."""
    done = 0
    for block in response.raw.stream(_BLOCK, decode_content=False):
        if not done and response.status_code == 200 and _HTML.match(block):
            raise _Refused("an HTML page instead of the file")
        done += len(block)
        if done > limit:
            raise _Refused(f"more than {limit:,} bytes")
        yield block


def _cause(error: BaseException) -> str:
    """The innermost cause of an error, in one line."""
    while error.__context__ is not None:
        error = error.__context__
    return " ".join(str(error).split()) or type(error).__name__


def _is_there(path: Path, source: Source) -> bool:
    """Whether a file is there already; a different file under its name is the user's, and stays."""
    if not path.exists():
        return False
    if not _is_right(path, source):
        raise InputError(
            f"{path}: is there already, and is not the published file; "
            "move it away, or choose another folder"
        )
    return True


def _is_right(path: Path, source: Source) -> bool:
    same_size = path.is_file() and path.stat().st_size == source.size
    return same_size and checksum(path) == source.sha256


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
