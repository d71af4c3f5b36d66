"""Where corpora and word vectors lie: as named, in folders of data, or with gensim."""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from .errors import InputError
from .files import sha256
from .gensim_data import GENSIM, GOOGLE_NEWS, gensim_file, gensim_folder, gensim_name
from .published import PUBLISHED, Published
from .wordvectors import Keyed, Vectors, is_keyed

__all__ = [
    "KIM_FOLDER",
    "POLARITY_FILES",
    "SAMPLE_FILE",
    "SAMPLE_VECTORS",
    "VECTOR_FILES",
    "Paths",
    "data_folders",
    "find_data",
    "find_published",
    "paths_of",
    "sample_path",
]

#: The two files of MR, positive sentences first.
POLARITY_FILES = tuple(file.name for file in PUBLISHED["mr"].files)

#: A folder within a folder of data that is searched too: for the corpora of Kim (2014).
KIM_FOLDER = "kim"

#: The sample of MR, as gensim's package names it.
SAMPLE_FILE = "pang_lee_polarity.cor"

#: The word vectors beside the sample.
SAMPLE_VECTORS = "pang_lee_polarity_fasttext.vec"

#: Names of word vectors in a folder of data, the preferred first.
VECTOR_FILES = (
    "GoogleNews-vectors-negative300.bin.gz",
    "GoogleNews-vectors-negative300.bin",
    "googlenews-31530.bin.gz",
    "googlenews-mr-subset.bin.gz",
)


def sample_path() -> tuple[Path, Path]:
    """The 200 sentences of MR that come with gensim, and vectors beside them.

    Returns:
        tuple of Path: the corpus, its vectors (fastText, 100 dimensions).

    Raises:
        InputError: when gensim is not installed.

    Example:
        >>> [path.is_file() for path in sample_path()]
        [True, True]
    """
    # Found, not imported, which would take a second.
    package = find_spec("gensim")
    if package is None or package.origin is None:
        raise InputError(
            "the sample comes with gensim, which is not installed here (gensim has no release for "
            "Python 3.14 yet); use an earlier Python, or name --corpus and --vectors"
        )
    folder = Path(package.origin).parent / "test" / "test_data"
    return folder / SAMPLE_FILE, folder / SAMPLE_VECTORS


#: A path, or some of them.
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def paths_of(paths: Paths) -> list[Path]:
    """Some paths; one alone is a list of itself, where a text would be taken apart into letters.

    Example:
        >>> paths_of("a.tsv") == paths_of([Path("a.tsv")]) == [Path("a.tsv")]
        True
    """
    if isinstance(paths, (str, os.PathLike)):
        return [Path(paths)]
    return [Path(path) for path in paths]


def data_folders() -> list[Path]:
    """The folders that are searched: the one that ``REPLICATE_DATA`` names, then ``data``.

    Raises:
        InputError: when ``REPLICATE_DATA`` names no folder.
    """
    named = os.environ.get("REPLICATE_DATA")
    if named and not Path(named).is_dir():
        raise InputError(f"REPLICATE_DATA={named}: not a folder; correct or unset it")
    folders = [Path(named)] if named else []
    return folders + [folder for folder in [Path("data")] if folder.is_dir()]


def find_data(
    preset: str | None = None, corpus: Paths = (), vectors: Vectors | None = None
) -> tuple[str, list[Path], str | Path | Keyed]:
    """Corpus and word vectors: what is named, and the rest from the folders of data.

    GoogleNews vectors that gensim has downloaded are used where no folder of data has vectors.

    Args:
        preset (str): ``"sample"`` takes gensim's sample where no corpus is
            named, another takes MR; None takes MR where a folder of data has
            it, and the sample otherwise.
        corpus: a path or paths that :func:`replicate.corpus.read_corpus` takes, or
            the name of a published corpus.
        vectors: a file, ``"gensim:NAME"`` in gensim's own folder, ``"random"``, or gensim's
            ``KeyedVectors``.

    Returns:
        tuple: preset, the paths of the corpus, the word vectors.

    Raises:
        InputError: when nothing is found, or a named file of vectors is missing.

    Example:
        >>> preset, paths, vectors = find_data("sample")
        >>> preset, paths[0].name, vectors.is_file()
        ('sample', 'pang_lee_polarity.cor', True)
    """
    folders = data_folders()
    named = paths = paths_of(corpus)
    if not paths:
        found = [f for f in folders if all((f / name).is_file() for name in POLARITY_FILES)]
        if preset == "sample" or (preset is None and not found):
            sample, beside = sample_path()
            return "sample", [sample], _named(vectors or beside)
        if not found:
            raise InputError(
                "no corpus found; run `replicate fetch`, name one with --corpus, or set REPLICATE_DATA"
            )
        paths = found[:1]
    if vectors is None:
        folders += [path for path in paths if path.is_dir()]
        there = [f / name for f in folders for name in VECTOR_FILES if (f / name).is_file()]
        google_news = gensim_file(GOOGLE_NEWS)
        if not there and google_news is not None:
            there = [google_news]
        if not there and named:
            raise InputError("no word vectors found; name a file with --vectors, or use random")
        if not there:
            raise InputError(
                "no word vectors found; run `replicate fetch`, name a file with --vectors, or use random"
            )
        vectors = there[0]
    return preset or "paper", paths, _named(vectors)


def find_published(corpus: Published) -> list[Path]:
    """The files of a published corpus, from the first folder of data that has them all.

    A folder ``kim`` within a folder of data is searched after the folder itself.

    Args:
        corpus: one of :data:`replicate.io.published.PUBLISHED`.

    Returns:
        list of Path: in the order of its files, or of its copies.

    Raises:
        InputError: when a file is missing, or is not the published one.

    Example:
        >>> from replicate.io.published import Source
        >>> find_published(Published("x", "X", {}, (Source("x.pos", (), "", 0),), "", ""))
        Traceback (most recent call last):
            ...
        replicate.io.errors.InputError: x: x.pos ...
    """
    named = data_folders()
    folders = [place for folder in named for place in (folder, folder / KIM_FOLDER)]
    for files in filter(None, (corpus.files, corpus.copies)):
        for folder in folders:
            paths = [folder / file.name for file in files]
            if all(path.is_file() for path in paths):
                for path, file in zip(paths, files):
                    if sha256(path) != file.sha256:
                        raise InputError(
                            f"{path}: not the published file of {corpus.name} (another sha256); "
                            f"move it away, then run `replicate fetch --corpus {corpus.name}`"
                        )
                return paths
    places = [{file.name for file in corpus.files if (f / file.name).is_file()} for f in folders]
    most = max(places, key=len, default=set())
    missing = ", ".join(file.name for file in corpus.files if file.name not in most)
    where = (
        f"not in {', '.join(map(str, named))}" if named else "missing (no folder of data is there)"
    )
    raise InputError(
        f"{corpus.name}: {missing} {where}; run `replicate fetch --corpus {corpus.name}`, or set "
        "REPLICATE_DATA to a folder that has the corpus"
    )


def _named(vectors: Vectors) -> str | Path | Keyed:
    if is_keyed(vectors):
        return vectors
    name = gensim_name(vectors)
    if name is not None:
        there = gensim_file(name)
        if there is None:
            raise InputError(
                f"{GENSIM}{name}: not in {gensim_folder()}; run `replicate fetch --vectors "
                f"{GENSIM}{name}`, or set GENSIM_DATA_DIR"
            )
        return there
    if str(vectors) != "random" and not Path(str(vectors)).is_file():
        raise InputError(f"{vectors}: no such file; name a word-vector file, or random")
    return vectors
