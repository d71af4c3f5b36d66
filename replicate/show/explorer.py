"""The data of the report's explorer: words and sentences of T1, and the choice among T2.

Curves and heat maps are of one seed.  The instability of words and sentences, and the
halves of T2, are those of several seeds.  Named generators draw the words and sentences, and each part has a limit in bytes,
so the page stays small for every corpus.  Saliency is stored as whole numbers q from
0 to :data:`LEVELS`, on one scale for the whole page:

.. math::
    wa = top (q / LEVELS)^2

The steps are finer where saliency is small, and q is 0 only where saliency is 0: there no
filter chose the word.  :func:`packed` writes the numbers as text.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..config import ARMS, generator
from ..io.errors import InputError
from ..model import Batch, TextCNN, load_weights
from ..run import Run
from ..saliency import Saliency, flat_batch, word_saliency
from ..selection import select_top
from . import figures

__all__ = ["LEVELS", "gather", "packed", "safe_json"]

#: The largest number q: two characters of six bits.
LEVELS = 4095

# At most this many epochs are shown; more recorded epochs are thinned evenly.
_EPOCHS = 60
# This many words of highest, of lowest and of any instability come first.
_EXTREMES = 150
# Most sentences of each kind with heat maps, and most words in one of them.
_MAPS, _LONGEST = 60, 60
# Longer words and sentences are not natural language, and would fill the page.
_WORD_CHARACTERS, _CHARACTERS = 200, 5000
# Most occurrences of a word that its quantiles use, and that are drawn as single lines.
_OCCURRENCES, _LINES = 500, 4
_QUANTILES = (0.1, 0.25, 0.75, 0.9)
# The limit of each part, in bytes of JSON.
_WORD_BYTES, _DETAIL_BYTES, _SENTENCE_BYTES, _MAP_BYTES = 2_000_000, 600_000, 420_000, 320_000
_CHOICE_BYTES = 560_000
# Most seeds whose wac, ranks and scores are shown, and sentences of T2 of the highest, of the
# lowest and of the scores nearest to the median that come first.
_SEEDS, _NEAREST = 4, 150
# A small number x >= 10^-_DECADES is the whole number that its logarithm is rounded to.
_DECADES = 12

_ALPHABET = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", dtype=np.uint8
)


def packed(numbers: ArrayLike, width: int = 2) -> str:
    """Whole numbers as text, with `width` characters of base64's alphabet for each.

    Args:
        numbers: an array of any shape, with values from 0 to 64 ** width - 1.
        width: characters for each number.

    Returns:
        The numbers in C order, each with its highest six bits first.

    Example:
        >>> packed(np.array([0, 1, 63, 64, LEVELS]))
        'AAABA/BA//'
    """
    shifts = 6 * np.arange(width)[::-1]
    digits = (np.asarray(numbers, dtype=np.int64)[..., None] >> shifts) & 63
    return str(_ALPHABET[digits].tobytes(), "ascii")


def logarithms(values: ArrayLike) -> NDArray[np.int64]:
    """Positive numbers up to 1 as whole numbers from 2 to :data:`LEVELS`, by their logarithms.

    .. math::
        x = 10^{-12 (LEVELS - q) / (LEVELS - 2)}

    Args:
        values: an array of any shape; NaN becomes 0 and zero becomes 1.

    Returns:
        int64 of that shape; a number is kept with an error below 0.4 %.

    Example:
        >>> logarithms([1.0, 1e-6, 0.0, np.nan]).tolist()
        [4095, 2048, 1, 0]
    """
    values = np.asarray(values, dtype=np.float64)
    made = np.zeros(values.shape, dtype=np.int64)
    made[values == 0] = 1
    some = values > 0
    share = np.clip(1 + np.log10(values[some]) / _DECADES, 0, 1)
    made[some] = 2 + np.rint((LEVELS - 2) * share).astype(np.int64)
    return made


def safe_json(value: Any) -> str:
    """JSON text that is safe inside a ``<script>``, whatever strings it contains.

    Args:
        value: what :func:`json.dumps` accepts.

    Raises:
        ValueError: if the value contains NaN or infinity.

    Example:
        >>> safe_json(["</script>", "a & b"])
        '["\\\\u003c/script\\\\u003e","a \\\\u0026 b"]'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        # JSON uses none of these three characters outside of strings.
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def gather(run: Run, seed: int) -> dict[str, Any]:
    """Collect the explorer's data for one seed.

    Args:
        run: a run in which the seed is finished.
        seed: a seed of the run.

    Returns:
        JSON values; packed numbers are strings.

        * ``words``: for some words of T1, rank by wac, wac, count, whether the vector
          file has the word (None if the run does not record it), and the mean
          saliency over occurrences by epoch, packed (None in a streaming run).
        * ``details``: for some of these words, quantiles over occurrences and single
          occurrences by epoch, packed.
        * ``sentences``: the words of some sentences of T1.
        * ``maps``: for some of these, saliency, label and uncertainty by epoch, packed;
          correctly classified sentences come first.
        * ``arms``: the same sentences with the final model of every arm.
        * ``seeds``: finished seeds, first the one asked for; of the further ones, rank and
          count of ``words``.  A rank of 0 is a word that T1 does not contain there.
        * ``choice``: sentences of T2 in the order of A_S, eq. (10): their words, and for
          each of ``seeds`` A_S and half; in how many of all finished seeds they are in
          T2 and in T2h; ``wac`` of every word of the page for each of ``seeds``.
        * ``kept`` and ``totals``: how many of each were kept, of how many.

    Raises:
        InputError: if a file of the seed is missing or damaged.

    Example:
        >>> data = gather(sample_run(), 0)
        >>> data["epochs"], data["kept"]["sentences"], data["totals"]["sentences"]
        ([1, 2, 3], 90, 90)
    """
    source = _Source(run, seed)
    chosen = source.choose_words()
    maps, n_correct = source.choose_maps()
    details = source.details(chosen)
    map_values, map_epochs = source.maps(maps)
    arms, by_arm = source.arms(maps)
    means = source.means[:, chosen] if source.stored else None
    curves = [curve for _, rows, _ in details for curve in rows]
    shown = [*curves, *map_values, *arms] + ([] if means is None else [means])
    top = max((float(np.max(values)) for values in shown if np.size(values)), default=0.0)
    on_maps = np.concatenate([np.zeros(0), *(np.ravel(v) for v in (*map_values, *arms))])

    def levels(values: ArrayLike) -> str:
        share = (
            np.sqrt(np.asarray(values, dtype=np.float64) / top)
            if top > 0
            else np.zeros_like(values)
        )
        # Above 0 at least 1: exactly 0 says that no filter chose the word.
        return packed(np.maximum(np.rint(LEVELS * share), share > 0))

    lines = [s for *_, places in details for s, _ in places]
    kept, others, tokens = source.choose_sentences(chosen, maps, lines)
    at = {place: i for i, place in enumerate(kept)}
    corpus, t1 = run.corpus, source.t1
    last = source.record.predicted[-1]
    choice = _Choice(run, seed)
    page = source.seen[chosen].tolist() + source.others
    uncertainty_by_epoch = source.uncertainty_on(maps, map_epochs).T
    return {
        "seed": seed,
        "seeds": choice.seeds,
        "choice": choice.gather(page, source.readable_sentences()),
        "epochs": source.epochs.tolist(),
        "levels": LEVELS,
        "top": top,
        # The darkest colour: with the maximum, a few high values would make all others pale.
        "shade": float(np.quantile(on_maps[on_maps > 0], 0.995)) if (on_maps > 0).any() else 0.0,
        "labels": list(corpus.label_titles),
        "stored": source.stored,
        "judged": run.config.judged_epoch or run.config.epochs,
        "totals": {
            "words": len(source.seen),
            "sentences": len(t1),
            "correct": int(source.correct.sum()),
            "misclassified": int((~source.correct).sum()),
            "epochs": source.n_rows,
        },
        "kept": {
            "words": len(chosen),
            "details": len(details),
            "sentences": len(kept),
            "correct": n_correct,
            "misclassified": len(maps) - n_correct,
            "occurrences": _OCCURRENCES,
            "longest": _LONGEST,
        },
        "words": {
            "word": source.words[chosen].tolist(),
            "rank": source.rank[chosen].tolist(),
            "wac": [float(f"{x:.4g}") for x in source.wac[chosen]],
            "count": source.count[chosen].tolist(),
            "known": source.known(chosen),
            "mean": None if means is None else levels(means.T),
            **choice.of_words(source.seen[chosen]),
        },
        "details": {
            "quantiles": list(_QUANTILES),
            "word": [i for i, _, _ in details],
            "curves": levels(np.concatenate([np.ravel(rows) for _, rows, _ in details]))
            if details
            else "",
            # Sentence and position of each line; None if the sentence is not kept.
            "at": [[[at[s], p] if s in at else None for s, p in places] for *_, places in details],
        },
        "others": others,
        "sentences": {
            "number": t1[kept].tolist(),
            "label": corpus.labels[t1[kept]].tolist(),
            "predicted": last[kept].tolist(),
            "length": source.lengths[kept].tolist(),
            "tokens": packed(tokens, 3),
        },
        "maps": {
            "sentence": [at[s] for s in maps],
            "epochs": map_epochs.tolist(),
            "saliency": "".join(levels(values) for values in map_values),
            "predicted": packed(source.predicted_on(maps, map_epochs).T),
            "uncertainty": packed(np.rint(LEVELS * uncertainty_by_epoch)),
            # The scale of the logit difference divides by it: also of 10^-6, three digits.
            "logarithm": packed(logarithms(uncertainty_by_epoch)),
        },
        "arms": {
            "arm": list(ARMS),
            "saliency": "".join(levels(values) for values in arms),
            "predicted": [[int(label) for label in found.predicted] for found in by_arm],
            "uncertainty": packed(
                np.rint(LEVELS * np.array([found.uncertainty for found in by_arm]))
            ),
            "logarithm": packed(logarithms(np.array([found.uncertainty for found in by_arm]))),
        },
    }


def _within(costs: ArrayLike, budget: int) -> int:
    """How many items from the start fit into a budget.

    Example:
        >>> _within([3, 3, 3], 7)
        2
    """
    return int(np.searchsorted(np.cumsum(costs), budget, side="right"))


class _Source:
    """The first phase of one seed, and what is chosen from it.

    A "place" is the position of a sentence in T1.
    """

    def __init__(self, run: Run, seed: int) -> None:
        self.run, self.seed = run, seed
        corpus = run.corpus
        self.record = record = run.record(seed)
        self.t1, _, _ = run.split(seed)
        self.tokens, self.offsets = corpus.take(self.t1)
        self.lengths = np.diff(self.offsets)
        characters = np.char.str_len(corpus.words)[self.tokens] + 1
        self.readable = np.add.reduceat(characters, self.offsets[:-1]) <= _CHARACTERS
        self.others: list[int] = []
        self.seen = np.unique(self.tokens)
        self.words = corpus.words[self.seen]
        wac, count = run.instability(seed)
        if not np.array_equal(np.flatnonzero(count), self.seen):
            raise InputError(f"{run.out}: the words of seed {seed} are not its T1's; run again")
        self.wac, self.count = wac[self.seen], count[self.seen]
        self.rank = _ranks(wac, count)[self.seen]
        self.order = np.argsort(self.rank)
        self.n_rows = len(record.epochs)
        every = np.linspace(0, self.n_rows - 1, min(_EPOCHS, self.n_rows))
        self.rows = np.unique(every.round().astype(int))
        self.epochs = record.epochs[self.rows]
        self.correct = record.correct
        self.stored = record.saliency is not None
        if record.saliency is not None:
            self.saliency = record.saliency
            place_of = np.searchsorted(self.seen, self.tokens)
            self.means = np.empty((len(self.rows), len(self.seen)), dtype=np.float32)
            for i, row in enumerate(self.rows):
                total = np.bincount(place_of, weights=self.saliency[row], minlength=len(self.seen))
                self.means[i] = total / self.count

    def random(self, what: str) -> np.random.RandomState:
        return generator(f"explorer {what}", self.seed)

    def known(self, chosen: NDArray[np.intp]) -> str | None:
        """One digit for each word; None if the run is from a version that did not store it."""
        try:
            known = self.run.known[self.seen[chosen]]
        except InputError:
            return None
        return "".join("1" if k else "0" for k in known)

    def choose_words(self) -> NDArray[np.intp]:
        """Words of the table, in order of rank: extremes, drawn words, then frequent words."""
        drawn = self.random("words").permutation(len(self.seen))[:_EXTREMES]
        by_count = np.lexsort((self.seen, -self.count))
        parts = [self.order[:_EXTREMES], self.order[::-1][:_EXTREMES], drawn, by_count]
        joined = np.concatenate(parts)
        _, first = np.unique(joined, return_index=True)
        self.priority = joined[np.sort(first)]
        self.priority = self.priority[
            np.char.str_len(self.words[self.priority]) <= _WORD_CHARACTERS
        ]
        curve = 2 * len(self.rows) if self.stored else 0
        # Rank, wac, count and their commas have up to 30 characters.
        costs = [
            len(safe_json(w).encode()) + 30 + curve for w in self.words[self.priority].tolist()
        ]
        chosen = self.priority[: _within(costs, _WORD_BYTES)]
        return chosen[np.argsort(self.rank[chosen])]

    def details(
        self, chosen: NDArray[np.intp]
    ) -> list[tuple[int, NDArray[np.floating], list[tuple[int, int]]]]:
        """Quantiles and single occurrences of words that occur twice or more.

        Returns:
            For each word: its index in `chosen`, (4 + lines, E) curves, and the
            (sentence, position) of each line.
        """
        if not self.stored:
            return []
        row_of = {int(word): i for i, word in enumerate(chosen)}
        wanted = [int(w) for w in self.priority if int(w) in row_of and self.count[w] > 1]
        n_curves = [len(_QUANTILES) + min(_LINES, self.count[w]) for w in wanted]
        costs = [2 * len(self.rows) * n + 12 * n for n in n_curves]
        wanted = wanted[: _within(costs, _DETAIL_BYTES)]
        by_word = np.argsort(self.tokens, kind="stable")
        start = np.concatenate([[0], np.cumsum(self.count)])
        random = self.random("occurrences")
        places = []
        for w in wanted:
            of_word = by_word[start[w] : start[w + 1]]
            places.append(of_word[random.permutation(len(of_word))[:_OCCURRENCES]])
        if not wanted:
            return []
        joined = np.concatenate(places)
        # Row by row, because that is the order of the memory-mapped file.
        values = np.array([self.saliency[row][joined] for row in self.rows])
        bounds = np.concatenate([[0], np.cumsum([len(p) for p in places])])
        made = []
        for w, place, a, b in zip(wanted, places, bounds[:-1], bounds[1:]):
            mine = values[:, a:b]
            lines = place[:_LINES]
            sentence = np.searchsorted(self.offsets, lines, side="right") - 1
            at = [(int(s), int(p - self.offsets[s])) for s, p in zip(sentence, lines)]
            spread = np.quantile(mine, _QUANTILES, axis=1)
            made.append((row_of[w], np.concatenate([spread, mine[:, :_LINES].T]), at))
        return sorted(made, key=lambda entry: entry[0])

    def choose_maps(self) -> tuple[list[int], int]:
        """Sentences with heat maps: those of Figs 3 and 4, then drawn ones.

        Returns:
            Places, correctly classified sentences first, and the number of those.
        """
        made: list[int] = []
        n_correct = 0
        for wrong in (False, True):
            kind = ~self.correct if wrong else self.correct
            short = kind & self.readable & (self.lengths <= _LONGEST)
            shown = figures.drawn_sentences(self.record, self.seed, wrong)
            first = [int(p) for p in shown if short[p]]
            drawn = self.random(f"sentences {int(wrong)}").permutation(np.flatnonzero(short))
            places = [*dict.fromkeys([*first, *drawn[:_MAPS].tolist()])][:_MAPS]
            # Each number has two characters; a sentence also has a label and an uncertainty.
            numbers = (len(self.rows) + len(ARMS)) * (self.lengths[places] + 2)
            places = places[: _within(2 * numbers, _MAP_BYTES // 2)]
            made += places
            n_correct += 0 if wrong else len(places)
        return made, n_correct

    def _columns(self, places: list[int]) -> NDArray[np.integer]:
        parts = [np.arange(self.offsets[p], self.offsets[p + 1]) for p in places]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def _cut(self, values: NDArray[np.floating], places: list[int]) -> list[NDArray[np.floating]]:
        """(E, words of all sentences), cut into one array (E, words) for each sentence."""
        bounds = np.cumsum(self.lengths[places])[:-1]
        return np.split(values, bounds, axis=1) if len(places) else []

    def _batch(self, model: TextCNN, places: list[int]) -> Batch:
        return flat_batch(model, *self.run.corpus.take(self.t1[places]))

    def _model(self) -> TextCNN:
        """The network on the CPU, also if the run used a GPU."""
        run = self.run
        n_labels = len(run.corpus.label_names)
        return TextCNN(
            run.vectors_of(self.seed), n_labels, run.config, self.seed, run.options.implementation
        )

    def maps(self, places: list[int]) -> tuple[list[NDArray[np.floating]], NDArray[np.integer]]:
        """Saliency by epoch: as recorded, or computed from the weights of every epoch.

        Returns:
            One array (E, words) for each sentence, and the E epochs; only the last
            epoch if neither saliency nor weights were stored.
        """
        if self.stored:
            columns = self._columns(places)
            values = np.array([self.saliency[row][columns] for row in self.rows])
            return self._cut(values, places), self.epochs
        model = self._model()
        kept = self.run.epoch_weights(self.seed, model.shapes())
        epochs = self.epochs[self.epochs > 0] if kept else np.array([self.run.config.epochs])
        rows = []
        for epoch in epochs if places else []:
            if kept:
                model.set_weights({name: values[epoch - 1] for name, values in kept.items()})
            else:
                load_weights(self.run.model_file(self.seed, "T1"), model)
            rows.append(word_saliency(model, self._batch(model, places)).token_saliency)
        return self._cut(np.array(rows), places), epochs

    def arms(self, places: list[int]) -> tuple[list[NDArray[np.floating]], list[Saliency]]:
        """Saliency with the final model of every arm, and what that model predicts.

        Returns:
            For each arm, the saliency of all sentences' words, and the
            :class:`replicate.saliency.Saliency` that it comes from.
        """
        model = self._model()
        found = []
        for arm in ARMS if len(places) else []:
            load_weights(self.run.model_file(self.seed, arm), model)
            found.append(word_saliency(model, self._batch(model, places)))
        return [f.token_saliency for f in found], found

    def predicted_on(self, places: list[int], epochs: NDArray[np.integer]) -> NDArray[np.int32]:
        """(E, n), the labels of some sentences at some epochs."""
        return self.record.predicted[self._rows_of(epochs)][:, places]

    def uncertainty_on(self, places: list[int], epochs: NDArray[np.integer]) -> NDArray[np.float32]:
        """(E, n), 1 - p of the model's own label."""
        assert self.record.uncertainty is not None  # every run records it
        return self.record.uncertainty[self._rows_of(epochs)][:, places]

    def _rows_of(self, epochs: NDArray[np.integer]) -> NDArray[np.intp]:
        return np.searchsorted(self.record.epochs, epochs)

    def choose_sentences(
        self, chosen: NDArray[np.intp], needed: list[int], wanted: Sequence[int]
    ) -> tuple[list[int], list[str], NDArray[np.integer]]:
        """Sentences to keep: all of `needed`, then `wanted`, then drawn ones within the limit.

        Returns:
            Places, the words that are not among `chosen`, and the words of the
            sentences as indices into the chosen words followed by those.
        """
        place_of = np.full(len(self.run.corpus.words), -1, dtype=np.int64)
        place_of[self.seen[chosen]] = np.arange(len(chosen))
        drawn = self.random("texts").permutation(len(self.t1))
        corpus = self.run.corpus
        others: dict[str, None] = {}
        used = 0
        kept, tokens = [], []
        for i, place in enumerate(dict.fromkeys([*needed, *wanted, *drawn.tolist()])):
            if not self.readable[place]:
                continue
            mine = self.tokens[self.offsets[place] : self.offsets[place + 1]]
            new = [int(w) for w in np.unique(mine[place_of[mine] < 0])]
            used += 3 * len(mine) + 16 + sum(len(safe_json(str(corpus.words[w]))) + 1 for w in new)
            if used > _SENTENCE_BYTES and i >= len(needed):
                break
            for w in new:
                place_of[w] = len(chosen) + len(others)
                others[str(corpus.words[w])] = None
            kept.append(place)
            tokens.append(place_of[mine])
        flat = np.concatenate(tokens) if tokens else np.zeros(0, dtype=np.int64)
        index = np.flatnonzero(place_of >= len(chosen))
        self.others = index[np.argsort(place_of[index])].tolist()
        return kept, list(others), flat

    def readable_sentences(self) -> NDArray[np.bool_]:
        """(N,), sentences of the corpus with at most so many characters."""
        corpus = self.run.corpus
        tokens, offsets = corpus.take(np.arange(len(corpus)))
        characters = np.char.str_len(corpus.words)[tokens] + 1
        return np.asarray(np.add.reduceat(characters, offsets[:-1]) <= _CHARACTERS)


class _Choice:
    """How the words and sentences of T2 stand in several seeds; the first is the page's own."""

    def __init__(self, run: Run, seed: int) -> None:
        self.run = run
        done = run.finished_seeds() or [seed]
        self.seeds = [seed, *(s for s in done if s != seed)][:_SEEDS]
        self.wac, self.count, self.rank = [], [], []
        n = len(run.corpus)
        self.score, self.half = [], []
        self.in_t2, self.in_h = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        every = done if seed in done else [seed, *done]
        self.finished = len(every)
        for s in every:
            scores, halves = run.sentence_scores(s)
            self.in_t2 += ~np.isnan(scores)
            self.in_h += halves == "h"
        for s in self.seeds:
            wac, count = run.instability(s)
            self.wac.append(wac)
            self.count.append(count)
            self.rank.append(_ranks(wac, count))
            scores, halves = run.sentence_scores(s)
            self.score.append(scores)
            self.half.append(halves)

    def of_words(self, ids: NDArray[np.intp]) -> dict[str, str]:
        """Rank and count of words in the further seeds, packed."""
        further = range(1, len(self.seeds))
        rank = [self.rank[i][ids] for i in further]
        count = [np.minimum(self.count[i][ids], 64**3 - 1) for i in further]
        return {"ranks": packed(np.array(rank), 3), "counts": packed(np.array(count), 3)}

    def gather(self, page: list[int], readable: NDArray[np.bool_]) -> dict[str, Any]:
        """Sentences of T2, and wac of all words of the page.

        Args:
            page: the words that the page has already, as indices into the corpus's.
            readable: (N,), sentences that are short enough to be shown.
        """
        corpus, scores = self.run.corpus, self.score[0]
        t2 = np.flatnonzero(~np.isnan(scores))
        ranked = t2[select_top(scores[t2], len(t2))]
        rank = np.empty(len(corpus), dtype=np.int64)
        rank[ranked] = np.arange(1, len(ranked) + 1)
        middle = np.argsort(np.abs(np.arange(len(ranked)) - (len(ranked) - 1) / 2), kind="stable")
        drawn = generator("explorer choice", self.seeds[0]).permutation(len(ranked))
        parts = [ranked[:_NEAREST], ranked[::-1][:_NEAREST], ranked[middle[:_NEAREST]]]
        place_of = {word: i for i, word in enumerate(page)}
        others: dict[int, None] = {}
        kept: list[int] = []
        used = 0
        for sentence in dict.fromkeys(np.concatenate([*parts, ranked[drawn]]).tolist()):
            if not readable[sentence]:
                continue
            mine = corpus.take(np.array([sentence]))[0].tolist()
            new = [w for w in dict.fromkeys(mine) if w not in place_of]
            # Numbers and their commas have up to 24 characters, and three a seed.
            used += 3 * len(mine) + 24 + 3 * len(self.seeds)
            used += sum(
                len(safe_json(str(corpus.words[w])).encode()) + 1 + 2 * len(self.seeds) for w in new
            )
            if used > _CHOICE_BYTES:
                break
            for w in new:
                place_of[w] = len(place_of)
                others[w] = None
            kept.append(sentence)
        kept.sort(key=lambda sentence: rank[sentence])
        tokens = [[place_of[w] for w in corpus.take(np.array([s]))[0].tolist()] for s in kept]
        words = np.array([*page, *others], dtype=np.int64)
        shown = np.array(kept, dtype=np.int64)
        score = np.array([s[shown] for s in self.score])
        top = float(np.nanmax(score, initial=0.0))
        scaled = np.sqrt(np.nan_to_num(score) / top) if top > 0 else np.zeros_like(score)
        half = np.array([h[shown] for h in self.half])
        # Of T2: high, low, or between the two if their number is odd; else of T1 or T3.
        letter = np.where(np.isnan(score), "-", np.where(half == "", "m", half))
        wac = np.array([w[words] for w in self.wac])
        by_token = np.array([self.wac[0][words[t]] for row in tokens for t in row])
        positive = by_token[by_token > 0]
        return {
            "others": [str(corpus.words[w]) for w in others],
            "all": self.finished,
            "total": len(ranked),
            "number": kept,
            "rank": rank[shown].tolist(),
            "label": corpus.labels[shown].tolist(),
            "length": [len(row) for row in tokens],
            "tokens": packed(np.array([t for row in tokens for t in row], dtype=np.int64), 3),
            "top": top,
            "score": packed(np.rint(LEVELS * scaled)),
            "half": "".join(letter.ravel().tolist()),
            "in_t2": self.in_t2[shown].tolist(),
            "in_h": self.in_h[shown].tolist(),
            "wac": packed(logarithms(wac)),
            "shade": float(np.quantile(positive, 0.99)) if len(positive) else 0.0,
        }


def _ranks(wac: NDArray[np.floating], count: NDArray[np.integer]) -> NDArray[np.int64]:
    """Rank of every word by wac, of equal values the rarer first; 0 where T1 lacks the word."""
    seen = np.flatnonzero(count)
    order = seen[np.lexsort((seen, count[seen], -wac[seen]))]
    made = np.zeros(len(wac), dtype=np.int64)
    made[order] = np.arange(1, len(order) + 1)
    return made
