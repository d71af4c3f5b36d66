"""Word vectors in the folder of gensim's downloader: found there, and downloaded when asked.

``gensim.downloader.load(NAME)`` keeps each set of vectors in a folder of its own, with a
Python file beside it that gensim executes.  Here that file is never imported: the vectors are
read by :func:`replicate.io.wordvectors.read_vectors`, as any other file.
"""

import contextlib
import os
import re
import sys
from pathlib import Path

from .errors import InputError, shorten

__all__ = ["GENSIM", "GOOGLE_NEWS", "fetch_gensim", "gensim_file", "gensim_folder", "gensim_name"]

#: What the name of vectors begins with that are in gensim's folder.
GENSIM = "gensim:"

#: The paper's vectors there: the same words and rows as in the published file, packed otherwise.
GOOGLE_NEWS = "word2vec-google-news-300"


def gensim_folder() -> Path:
    """The folder of gensim's downloader: ``GENSIM_DATA_DIR``, or ``gensim-data`` at home.

    Example:
        >>> gensim_folder() == Path(os.environ["GENSIM_DATA_DIR"])
        True
    """
    return Path(os.environ.get("GENSIM_DATA_DIR") or Path.home() / "gensim-data")


def gensim_name(vectors: object) -> str | None:
    """The NAME of ``gensim:NAME``; None for anything else.

    Raises:
        InputError: if it is not a name, for instance a path.

    Example:
        >>> gensim_name("gensim:glove-wiki-gigaword-50"), gensim_name("vectors.bin")
        ('glove-wiki-gigaword-50', None)
    """
    if not isinstance(vectors, str) or not vectors.startswith(GENSIM):
        return None
    name = vectors.removeprefix(GENSIM)
    if not re.fullmatch(r"\w[\w.-]{0,200}", name, re.ASCII):
        raise InputError(
            f"{shorten(vectors)}: not a name of gensim-data; write one as gensim:{GOOGLE_NEWS}"
        )
    return name


def gensim_file(name: str) -> Path | None:
    """The vectors of a name in gensim's folder, or None; nothing is downloaded.

    Args:
        name: as gensim-data has it; see :func:`gensim_name`.

    Example:
        >>> gensim_file("glove-wiki-gigaword-50") is None
        True
    """
    place = gensim_folder() / name / f"{name}.gz"
    return place if place.is_file() else None


def fetch_gensim(name: str) -> Path:
    """Download vectors with ``gensim.downloader``, if they are not in its folder.

    gensim compares the checksum that gensim-data publishes.  The Python file that comes
    with the vectors is stored, because gensim wants it, and not executed.

    Args:
        name: as gensim-data has it; see :func:`gensim_name`.

    Returns:
        The path of the vectors.

    Raises:
        InputError: if gensim is not installed or does not know the name, the download
            fails, or the folder cannot be written.
    """
    there = gensim_file(name)
    if there is not None:
        return there
    folder = gensim_folder()
    if (folder / name).exists():
        raise InputError(
            f"{folder / name}: has no {name}.gz, and gensim downloads nothing into a folder that "
            "is there; remove it"
        )
    try:
        from gensim import downloader
    except ImportError:
        raise InputError(
            f"{GENSIM}{name}: gensim is not installed here; download the file yourself, and name it "
            "with --vectors"
        ) from None
    had = downloader.BASE_DIR  # as it was when gensim was imported
    try:
        downloader.BASE_DIR = str(folder)
        with contextlib.redirect_stdout(sys.stderr):  # its progress
            downloader.load(name, return_path=True)  # the path only: the Python file is not run
    except Exception as error:  # gensim raises Exception itself, and whatever urllib raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{GENSIM}{name}: gensim.downloader failed ({reason}); check the name and the network, "
            "then run the same command again"
        ) from None
    finally:
        downloader.BASE_DIR = had
    there = gensim_file(name)
    if there is None:
        raise InputError(f"{GENSIM}{name}: is not a single .gz file; name other vectors")
    return there
