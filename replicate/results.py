"""Published results: what a finished run found for every seed, in two small files.

A full run of 200 seeds takes 10 GB.  ``seeds.npz`` has of each seed the score A_S of every
sentence of T2 and the instability wac of every word, both rounded, and ``accuracy.csv.gz``
the accuracies.  The split is not stored: it is drawn again from the seed
(:func:`replicate.split.split_corpus`).  The halves are not stored either:
:func:`replicate.selection.median_halves` finds them in the rounded scores, whose classes end
at the median.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import ARMS
from .io.errors import InputError
from .io.files import load_npz, read_csv, save_csv, save_npz
from .run import Run
from .selection import median_halves
from .settings import read_settings
from .split import split_corpus

__all__ = ["Results", "load_results", "save_seeds"]

ACCURACY = ("seed", "arm", "epoch", "accuracy")
SPEC = {
    "words": ("U", (None,)),
    "labels": ("i", (None,)),
    "median": ("f", (None,)),
    "scores": ("i", (None, None)),
    "wac": ("u", (None, None)),
}
#: Classes of A_S are so wide, as a share of the value.
SCORE_STEP = 0.02
#: Classes of wac are so wide, as a share of the value plus the floor.
WAC_STEP, WAC_FLOOR = 0.08, 1e-7
#: The class of a score of 0, below all others.
_ZERO = np.iinfo(np.int16).min


class Results:
    """The published results of a run.

    Args:
        folder: one that :func:`save_seeds` made.

    Attributes:
        folder (Path): the folder.
        config (Config): the readings.
        seeds (list of int): all seeds.
        settings (dict): those of the run, and facts of its data.

    Raises:
        InputError: if there are no such results, or a file is damaged.

    Example:
        >>> results = Results(save_seeds(sample_run(), tempfile.mkdtemp()))
        >>> results.seeds, len(results.words), results.split(0)[0].shape
        ([0], 1687, (90,))
        >>> scores, halves = results.sentence_scores(0)
        >>> np.isnan(scores).sum(), (halves == "h").sum()
        (np.int64(110), np.int64(45))
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.settings, self.config = read_settings(self.folder / "config.json")
        self.seeds: list[int] = self.settings["seeds"]
        self._arrays: dict[str, NDArray[Any]] | None = None
        self._curves: dict[int, dict[str, NDArray[np.float64]]] | None = None

    def _array(self, name: str) -> NDArray[Any]:
        """An array of ``seeds.npz``, which is read when one is first used."""
        if self._arrays is None:
            place = self.folder / "seeds.npz"
            arrays = load_npz(place, SPEC)
            rows = {len(arrays[name]) for name in ("median", "scores", "wac")}
            columns = arrays["wac"].shape[1] - len(arrays["words"])
            facts = len(arrays["labels"]) - self.settings["corpus"]["sentences"]
            if rows != {len(self.seeds)} or columns or facts:
                raise InputError(
                    f"{place}: is of other results than the settings beside it; restore both"
                )
            self._arrays = arrays
        return self._arrays[name]

    def _row(self, seed: int) -> int:
        try:
            return self.seeds.index(seed)
        except ValueError:
            raise InputError(
                f"{self.folder}: has no seed {seed}; choose one of {self.seeds[0]} to {self.seeds[-1]}"
            ) from None

    @property
    def labels(self) -> NDArray[np.int32]:
        """(N,) the label of every sentence, as an index of the corpus's label names."""
        return self._array("labels")

    @property
    def words(self) -> NDArray[np.str_]:
        """(V,) the word types of the corpus."""
        return self._array("words")

    def subset(self, seed: int) -> NDArray[np.int8]:
        """(N,) int8: 1, 2 or 3 for a sentence of T1, T2 or T3 (section 4.2), drawn again."""
        self._row(seed)
        return split_corpus(self.labels, seed, self.config.split)

    def split(self, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """The sentence indices of T1, T2 and T3, in ascending order, drawn again."""
        subset = self.subset(seed)
        t1, t2, t3 = (np.flatnonzero(subset == k) for k in (1, 2, 3))
        return t1, t2, t3

    def sentence_scores(self, seed: int) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
        """A_S of eq. (10) and the half of every sentence of the corpus.

        Args:
            seed: a seed of the run.

        Returns:
            A_S (N,) float64, within 1.01 % of what the run had, NaN for a sentence that is not
            in T2; and half (N,): ``h``, ``l``, or empty, exactly as in the run.
        """
        row, t2 = self._row(seed), self.split(seed)[1]
        found = _scores_of(self._array("scores")[row], self._array("median")[row])
        scores, half = np.full(len(self), np.nan), np.full(len(self), "", "U1")
        scores[t2] = found
        half_h, half_l = median_halves(found, t2)
        half[half_h], half[half_l] = "h", "l"
        return scores, half

    def word_instability(self, seed: int) -> NDArray[np.float64]:
        """Instability wac of eq. (9) of every word.

        Args:
            seed: a seed of the run.

        Returns:
            (V,) float64, NaN for a word that T1 does not contain.  A value differs by at most
            4.1 % of itself plus 5e-9 from that of the run.
        """
        return _wac_of(self._array("wac")[self._row(seed)])

    def accuracies(self, seed: int) -> dict[str, NDArray[np.float64]]:
        """Accuracy on T3: arm -> (E, 2) with epoch, accuracy, exactly as in the run."""
        self._row(seed)
        if self._curves is None:
            self._curves = read_accuracies(self.folder)
        return self._curves[seed]

    def __len__(self) -> int:
        """The number of sentences."""
        return len(self.labels)

    def __repr__(self) -> str:
        sentences = self.settings["corpus"]["sentences"]
        return f"Results({str(self.folder)!r}: {len(self.seeds)} seeds; {sentences:,} sentences)"


def load_results(name: str | Path) -> Results:
    """The published results of a run, by name or folder.

    Args:
        name: a folder, or the name of one in ``results`` of this repository, as
            ``"calibrated-googlenews-31530"``.

    Returns:
        Results: reads its files when they are first used.

    Raises:
        InputError: if there are no such results.

    Example:
        >>> load_results("results-elsewhere")
        Traceback (most recent call last):
            ...
        replicate.io.errors.InputError: results-elsewhere: no such results, neither as a folder nor \
in results/ of the source code; name the folder
    """
    own = Path(__file__).resolve().parents[1] / "results"
    for folder in (Path(name), own / name):
        if (folder / "seeds.npz").is_file():
            return Results(folder)
    raise InputError(
        f"{name}: no such results, neither as a folder nor in results/ of the source code; name "
        "the folder"
    )


def save_seeds(run: Run, folder: str | Path) -> Path:
    """Write ``seeds.npz`` and ``accuracy.csv.gz`` of a finished run, with its settings.

    Args:
        run: a run all of whose seeds are finished.
        folder: is made if it is not there.

    Returns:
        The folder.

    Raises:
        InputError: if a seed is not finished, or its split is not the one that is drawn again.
    """
    missing = sorted(set(run.seeds) - set(run.finished_seeds()))
    if missing:
        raise InputError(f"{run.out}: seed {missing[0]} is not finished; run it first")
    folder, labels = Path(folder), run.corpus.labels
    medians, scores, wac, rows = [], [], [], []
    for seed in run.seeds:
        t2 = run.split(seed)[1]
        if not np.array_equal(run.subset(seed), split_corpus(labels, seed, run.config.split)):
            raise InputError(f"{run.out}: seed {seed} has another split than is drawn; run again")
        found, half = run.sentence_scores(seed)
        code, median = _coded_scores(found[t2], half[t2])
        medians.append(median)
        scores.append(code)
        wac.append(_coded_wac(run.instability(seed)[0]))
        # The halves are found in the rounded scores, so they must be there.
        for name, kept in zip("hl", median_halves(_scores_of(code, median), t2), strict=True):
            assert np.array_equal(np.flatnonzero(half == name), kept), (seed, name)
        curves = run.accuracies(seed)
        rows += [[seed, arm, int(e), a] for arm in ARMS for e, a in curves[arm][:, :2]]
    arrays = {
        "words": run.corpus.words, "labels": labels, "median": np.array(medians),
        "scores": np.array(scores), "wac": np.array(wac),
    }  # fmt: skip
    save_npz(folder / "seeds.npz", arrays, compressed=True)
    save_csv(folder / "accuracy.csv.gz", ACCURACY, rows)
    settings = run.input_files()[0]
    (folder / settings.name).write_bytes(settings.read_bytes())
    return folder


def read_accuracies(folder: Path) -> dict[int, dict[str, NDArray[np.float64]]]:
    """The accuracies of published results: seed -> arm -> (E, 2) with epoch, accuracy.

    Raises:
        InputError: if the file is missing or damaged.
    """
    columns = {"seed": int, "epoch": float, "accuracy": float}
    curves: dict[int, dict[str, list[tuple[float, float]]]] = {}
    for row in read_csv(folder / "accuracy.csv.gz", ACCURACY, columns):
        arms = curves.setdefault(row["seed"], {})
        arms.setdefault(row["arm"], []).append((row["epoch"], row["accuracy"]))
    return {seed: {a: np.array(rows) for a, rows in arms.items()} for seed, arms in curves.items()}


# --- how numbers are rounded -------------------------------------------------------------


def _coded_scores(
    scores: NDArray[np.float64], half: NDArray[np.str_]
) -> tuple[NDArray[np.int16], float]:
    """Classes of A_S, above 0 in T2h and below 0 in T2l, and the median that they count from."""
    median = _between(scores, half)
    with np.errstate(divide="ignore"):
        logs = np.log(scores / median)
    away = 1 + np.floor(np.abs(logs) / SCORE_STEP)
    above, below = np.maximum(np.sign(logs) * away, 1), np.minimum(np.sign(logs) * away, -1)
    code = np.where(half == "h", above, np.where(half == "l", below, 0))
    code = np.clip(code, _ZERO + 1, np.iinfo(np.int16).max)
    return np.where(scores > 0, code, _ZERO).astype(np.int16), median


def _between(scores: NDArray[np.float64], half: NDArray[np.str_]) -> float:
    """A score above those of T2l and below those of T2h, and greater than 0."""
    lowest, highest = scores[half == "h"].min(), scores[half == "l"].max()
    found = [*scores[half == ""], np.sqrt(lowest * highest), lowest, *np.sort(scores), 1.0]
    return float(next(score for score in found if score > 0))


def _scores_of(code: NDArray[np.int16], median: float) -> NDArray[np.float64]:
    """A_S in the middle of its class; 0 in the class of 0."""
    away = np.sign(code) * (np.abs(code.astype(np.float64)) - 0.5)
    return np.where(code == _ZERO, 0.0, median * np.exp(away * (code != 0) * SCORE_STEP))


def _coded_wac(wac: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Classes of wac, from 1; 0 for a word that T1 does not contain."""
    code = 1 + np.round(np.log1p(wac / WAC_FLOOR) / WAC_STEP)
    if np.nanmax(code) > np.iinfo(np.uint8).max:
        raise InputError(f"wac = {np.nanmax(wac):.3g} is too large for seeds.npz; look at the run")
    return np.nan_to_num(code).astype(np.uint8)


def _wac_of(code: NDArray[np.uint8]) -> NDArray[np.float64]:
    """wac in the middle of its class; NaN in the class of words without one."""
    wac = WAC_FLOOR * np.expm1((code.astype(np.float64) - 1) * WAC_STEP)
    return np.where(code > 0, wac, np.nan)
