"""Word vectors for a vocabulary (section 5.3 (1))."""

import contextlib
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .config import Config, generator
from .io.errors import InputError
from .io.files import load_npz, save_npz, sha256
from .io.wordvectors import VERSION, Vectors, content_sha256, is_keyed, read_keyed, read_vectors

__all__ = ["coverage", "embedding_matrix", "identified", "with_unknown_words"]


def embedding_matrix(
    words: Sequence[str] | np.ndarray,
    vectors: Vectors,
    config: Config,
    dimensions: int = 300,
    cache: bool = True,
    seed: int | None = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The input matrix of the network: row 0 is padding, row i + 1 is ``words[i]``.

    Words that the file lacks are drawn, see :func:`with_unknown_words`.

    Args:
        words: (V,) str.
        vectors: path of a word-vector file, gensim's ``KeyedVectors``, or ``"random"``: no
            word is known.
        config (Config): readings ``unknown_words`` and ``unknown_words_seed``.
        dimensions (int): D where `vectors` is ``"random"``.
        cache (bool): keep what was read under the checksum of file and words.
        seed (int): the run's seed; None leaves the rows of unknown words 0 if every
            seed draws its own.

    Returns:
        tuple: matrix (V + 1, D) float32 and known (V,) bool.

    Raises:
        InputError: see :func:`read_vectors`; also when no word is known.

    Example:
        >>> matrix, known = embedding_matrix(["good", "bad"], "random", Config(), dimensions=4)
        >>> matrix.shape, bool(matrix[0].any()), known.tolist()
        ((3, 4), False, [False, False])
    """
    if is_keyed(vectors):
        rows, known = read_keyed(vectors, words)
    elif str(vectors) == "random":
        known = np.zeros(len(words), dtype=bool)
        rows = np.zeros((len(words), dimensions), dtype=np.float32)
    else:
        path = Path(str(vectors))
        rows, known = _cached(words, path) if cache else read_vectors(path, words)
    if str(vectors) != "random" and not known.any():
        raise InputError(f"{vectors}: has none of the corpus's words; is it another language's?")
    matrix = np.zeros((len(words) + 1, rows.shape[1]), dtype=np.float32)
    matrix[1:][known] = rows[known]
    if seed is None and config.unknown_words_seed < 0:
        return matrix, known
    return with_unknown_words(matrix, known, config, seed or 0), known


def with_unknown_words(
    matrix: np.ndarray, known: np.ndarray, config: Config, seed: int
) -> np.ndarray:
    """The input matrix with a draw of the vectors of unknown words (section 5.3 (1)).

    The draw covers the whole vocabulary in its order, so a word's random vector
    does not depend on which other words are known (with ``normal``, its scale does: that of
    the known rows).

    Args:
        matrix: (V + 1, D) float32; row 0 is padding, row i + 1 is word i.
        known: (V,) bool.
        config: readings ``unknown_words`` and ``unknown_words_seed``.
        seed: the run's seed; used if the reading ``unknown_words_seed`` is -1.

    Returns:
        (V + 1, D) float32, a new array.

    Example:
        >>> matrix = np.ones((3, 2), dtype=np.float32)
        >>> known = np.array([True, False])
        >>> with_unknown_words(matrix, known, Config(unknown_words="zero"), seed=0).tolist()
        [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    """
    fixed = config.unknown_words_seed
    random = generator("unknown words", seed if fixed < 0 else fixed)
    rows = matrix[1:]
    if config.unknown_words == "uniform":
        drawn = random.uniform(-0.25, 0.25, size=rows.shape)
    elif config.unknown_words == "normal":
        spread = rows[known].std(dtype=np.float64) if known.any() else 0.25 / np.sqrt(3)
        drawn = random.normal(0.0, spread, size=rows.shape)
    else:
        drawn = np.zeros(rows.shape)
    made = np.array(matrix)
    made[1:][~known] = drawn[~known]
    return made


def identified(vectors: Vectors) -> tuple[str, str]:
    """Name and SHA-256 of word vectors, as ``config.json`` has them.

    The checksum is that of the file; of ``KeyedVectors``, that of its words and rows.

    Example:
        >>> identified("random")
        ('random', '')
    """
    if is_keyed(vectors):
        return f"{type(vectors).__name__} in memory", content_sha256(vectors)
    if str(vectors) == "random":
        return "random", ""
    return Path(str(vectors)).name, sha256(str(vectors))


def coverage(known: np.ndarray, tokens: np.ndarray) -> tuple[float, float]:
    """Share of word types and of word occurrences that have a vector.

    Example:
        >>> coverage(np.array([True, False]), np.array([0, 0, 0, 1]))
        (0.5, 0.75)
    """
    return float(known.mean()), float(known[tokens].mean())


def _cached(words: Sequence[str] | np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rows under the checksum of file and vocabulary and the reader's version."""
    digest = zlib.crc32("\n".join(words).encode("utf-8"))
    name = f"{sha256(path)}-{len(words)}-{digest:08x}-v{VERSION}.npz"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "replicate"
    place = folder / name
    with contextlib.suppress(OSError):  # a cache that cannot be looked at costs time only
        if not place.is_file():
            raise FileNotFoundError(place)
        try:
            spec = {"rows": ("f", (len(words), None)), "known": ("b", (len(words),))}
            arrays = load_npz(place, spec)
            return arrays["rows"], arrays["known"]
        except InputError:
            pass  # a damaged cache is no error: it is written again below
    rows, known = read_vectors(path, words)
    try:
        save_npz(place, {"rows": rows, "known": known})
    except InputError:
        pass  # a cache that cannot be written costs time only
    return rows, known
