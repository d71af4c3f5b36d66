"""Labelled sentences as flat arrays of word indices, never padded (section 5.1)."""

import re
import tempfile
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any
from unicodedata import combining

import numpy as np

from .config import Config
from .io.corpora import labelled_texts
from .io.data import SAMPLE_FILE, find_data, sample_path
from .io.errors import InputError, shorten
from .io.files import load_npz, save_npz
from .io.published import PARTS, published_as
from .io.summary import Summary

__all__ = ["Corpus", "clean_kim", "find_data", "read_corpus", "sample_path", "tokenize"]

# The vocabulary is one array, as wide as its longest word, in 4 bytes a character:
# no word may be longer than this, and the array may have so many characters, or
# so many times those of the words themselves, whichever is more.
_WORD_LIMIT = 1000
_PADDED, _PADDED_TIMES = 16 << 20, 16

# Words of other texts that are added to a vocabulary: no file of vectors has longer ones.
_ADDED_LIMIT = 100

# Sentences that are taken at a time, and tokens that are kept in memory while
# a corpus is read.
_TAKEN = 4096
_SPILLED = 1 << 22


@dataclass(frozen=True)
class Corpus:
    """N labelled sentences over V word types, T word occurrences in all.

    Attributes:
        words (numpy.ndarray): (V,) str, the word types by first occurrence.
        tokens (numpy.ndarray): (T,) int32 into `words`, sentence by sentence.
        offsets (numpy.ndarray): (N + 1,) int64; sentence n is
            ``tokens[offsets[n]:offsets[n + 1]]``.
        labels (numpy.ndarray): (N,) int32 into `label_names`.
        label_names (tuple of str): the C labels; for MR 0 is negative and 1
            positive.
        sha256 (dict): file name -> checksum of what was read.
        summary (Summary): counts of what was read; None of a stored corpus.
        part (numpy.ndarray): (N,) int8 where there is an official split: 0
            train, 1 dev, 2 test; None where there is no such split.

    Example:
        >>> corpus = Corpus.from_texts(["good film", "bad film"], ["1", "0"])
        >>> corpus.tokens.tolist(), corpus.offsets.tolist(), corpus.labels.tolist()
        ([0, 1, 2, 1], [0, 2, 4], [1, 0])
    """

    words: np.ndarray
    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    label_names: tuple[str, ...]
    sha256: dict[str, str]
    summary: Summary | None = field(default=None, compare=False, repr=False)
    part: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """(N,) int64: words of each sentence."""
        return np.diff(self.offsets)

    @property
    def label_titles(self) -> tuple[str, ...]:
        """The labels as they are shown: what those of published corpora mean, others as they are.

        Example:
            >>> Corpus.from_texts(["good film", "bad film"], ["1", "0"]).label_titles
            ('0', '1')
        """
        known = published_as(self.sha256)
        if known is not None:
            return known.titles(self.label_names)
        files = {name.rsplit(".", 1)[-1] for name in self.sha256}
        of_mr = files == {"neg", "pos"} or set(self.sha256) == {SAMPLE_FILE}
        plain = tuple(self.label_names) == ("0", "1")
        return ("negative", "positive") if of_mr and plain else tuple(self.label_names)

    def sentence(self, n: int) -> str:
        """The words of sentence `n`, joined by blanks.

        Example:
            >>> Corpus.from_texts(["good film", "bad film"], ["1", "0"]).sentence(1)
            'bad film'
        """
        return " ".join(self.words[self.tokens[self.offsets[n] : self.offsets[n + 1]]])

    def take(self, sentences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Flat tokens and offsets of some sentences, in the order given.

        Args:
            sentences (numpy.ndarray): (n,) sentence indices.

        Returns:
            tuple: tokens (t,) int32 and offsets (n + 1,) int64.

        Example:
            >>> corpus = Corpus.from_texts(["good film", "bad film"], ["1", "0"])
            >>> [a.tolist() for a in corpus.take(np.array([1]))]
            [[2, 1], [0, 2]]
        """
        lengths = self.lengths[sentences]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        tokens = np.empty(offsets[-1], dtype=self.tokens.dtype)
        # Some at a time: places are counted in 16 bytes a token, tokens in 4.
        for start in range(0, len(lengths), _TAKEN):
            part = slice(start, start + _TAKEN)
            ends = offsets[start : start + _TAKEN + 1]
            first = np.repeat(self.offsets[sentences[part]] - ends[:-1], lengths[part])
            tokens[ends[0] : ends[-1]] = self.tokens[first + np.arange(ends[0], ends[-1])]
        return tokens, offsets

    def with_words(self, words: Iterable[str]) -> "Corpus":
        """The same sentences over a vocabulary that has further words, at its end.

        Words of more than 100 characters are left out: the vocabulary is one array, as wide as
        its longest word.

        Args:
            words: any number of times, in any order; those that are there already stay in place.

        Returns:
            Corpus: with the words by first occurrence.

        Example:
            >>> corpus = Corpus.from_texts(["good film", "bad film"], ["1", "0"])
            >>> corpus.with_words(["dull", "film", "dull"]).words.tolist()
            ['good', 'film', 'bad', 'dull']
        """
        have = dict.fromkeys(self.words.tolist())
        have |= dict.fromkeys(word for word in words if len(word) <= _ADDED_LIMIT)
        return replace(self, words=np.array(list(have)))

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        labels: Iterable[object],
        tokens: str = "kim",
        where: str = "texts",
    ) -> "Corpus":
        """A corpus from Python strings; `labels` are names of labels, or what stands for them.

        A label is its text.  A whole number has no point, so 1.0 is the label 1.

        Raises:
            InputError: for fewer than two labels, a label that is None or NaN, a text that is
                not a string, has no words or holds NUL, or another `tokens`.
            ValueError: when there are not as many labels as texts.
        """
        builder = _Builder(tokens)
        for number, (text, label) in enumerate(zip(texts, labels, strict=True), start=1):
            place = f"{where}: text {number}"
            if not isinstance(text, str):
                raise InputError(
                    f"{place} is {shorten(text)}, not a string; remove it, or give one"
                )
            builder.add(text, _label_name(label, place), place)
        for place in builder.without_words:
            raise InputError(f"{place}: no words are left after cleaning; remove it")
        return builder.corpus({}, where)

    def save(self, path: str | Path) -> None:
        """Write ``corpus.npz``: words, tokens, offsets, label; and part, where there is one."""
        arrays = {
            "words": self.words,
            "tokens": self.tokens,
            "offsets": self.offsets,
            "label": self.labels,
        }
        if self.part is not None:
            arrays["part"] = self.part
        save_npz(path, arrays)

    @classmethod
    def load(
        cls, path: str | Path, label_names: Sequence[str], checksums: dict[str, str]
    ) -> "Corpus":
        """Read ``corpus.npz`` back.

        Raises:
            InputError: when the file is damaged or its arrays do not agree.
        """
        spec = {"words": ("U", (None,)), "tokens": ("i", (None,)), "offsets": ("i", (None,))}
        # Tokens stay on the disk: processes share them, and a large corpus need
        # not fit into memory.
        spec |= {"label": ("i", (None,)), "part": ("i", (None,))}
        arrays = load_npz(path, spec, mapped=("tokens",), optional=("part",))
        words, tokens, offsets = arrays["words"], arrays["tokens"], arrays["offsets"]
        labels, part = arrays["label"], arrays.get("part")
        agree = (
            len(offsets) == len(labels) + 1
            and offsets[0] == 0
            and offsets[-1] == len(tokens)
            and (np.diff(offsets) > 0).all()
            and (len(tokens) == 0 or (0 <= tokens.min() and tokens.max() < len(words)))
            and (len(labels) == 0 or (0 <= labels.min() and labels.max() < len(label_names)))
            and (part is None or (len(part) == len(labels) and set(part) <= set(range(len(PARTS)))))
        )
        if not agree:
            raise InputError(f"{path}: its arrays do not agree; remove the folder and run again")
        return cls(words, tokens, offsets, labels, tuple(label_names), dict(checksums), part=part)


# Kim (2014), process_data.py: what is kept, and what is set apart.
_SUFFIX = re.compile(r"('s|'ve|n't|'re|'d|'ll)")
_MARK = re.compile(r"([,!()?])")

# Reviews of the Large Movie Review Dataset have one at every line break.
_LINE_BREAK = re.compile(r"</?\s*br\b[^<>]{0,100}>", re.IGNORECASE)
# Other markup stays, and is counted.
_MARKUP = re.compile(
    r"</?[a-z][^<>]{0,200}>|&(#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});", re.IGNORECASE
)
# Scripts without blanks between words: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = re.compile(
    "[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
)


def clean_kim(text: str) -> str:
    """Kim's (2014) cleaning of a sentence, in lower case.

    Other characters than letters, digits and ``(),!?'``` become blanks;
    clitics and marks are set apart.

    Example:
        >>> clean_kim("It's a dull, dull film.")
        "it 's a dull , dull film"
    """
    # Lower case last, as Kim: "N'T" is not a clitic to his rules; a dotted
    # capital I must not turn into two characters before the odd ones go.
    text = re.sub(r"[^A-Za-z0-9(),!?'`]", " ", text)
    text = _SUFFIX.sub(r" \1", text)
    text = _MARK.sub(r" \1 ", text)
    return " ".join(text.lower().split())


#: The readings `tokens`.
_CLEANED: dict[str, Callable[[str], str]] = {"kim": clean_kim, "whitespace": str.lower}


def tokenize(text: str, tokens: str) -> list[str]:
    """Words of a text under the reading `tokens` (kim or whitespace).

    A line break of web pages is a blank, however it is spelt.

    Raises:
        InputError: for another `tokens`.

    Example:
        >>> tokenize("It's good.<br />Fine!<BR>", "whitespace")
        ["it's", 'good.', 'fine!']
    """
    if "<" in text:
        text = _LINE_BREAK.sub(" ", text)
    if tokens not in _CLEANED:
        Config(tokens=tokens)  # refuses it; not for every text, of which there are many
    return _CLEANED[tokens](text).split()


class _Builder:
    """Grows the flat arrays sentence by sentence: no text is kept, and few tokens in memory."""

    def __init__(self, tokens: str) -> None:
        self._rule = Config(tokens=tokens).tokens  # refuses any other reading
        self._vocabulary: dict[str, int] = {}
        self._tokens = array("i")
        self._spilled: Any = None
        self._offsets = array("q", [0])
        self._labels: list[str] = []
        self._parts: list[str] = []
        self._longest = (0, "")
        self._letters = self._dropped = self._markup = self._lost = 0
        self.without_words: list[str] = []

    def add(self, text: str, label: str, place: str, part: str = "") -> None:
        if "\0" in text:  # NumPy takes it from a word's end, which then is another word
            raise InputError(f"{place}: holds NUL; remove it")
        words = tokenize(text, self._rule)
        if self._rule == "kim" and not text.isascii():
            self._dropped += sum(c.isalpha() or combining(c) > 0 for c in text if c > "\x7f")
        if ("<" in text or "&" in text) and _MARKUP.search(_LINE_BREAK.sub(" ", text)):
            self._markup += 1
        self._lost += "\ufffd" in text
        if not words:
            self.without_words.append(place if text.strip() else f"{place}: empty")
            return
        vocabulary, before = self._vocabulary, len(self._vocabulary)
        self._tokens.extend([vocabulary.setdefault(word, len(vocabulary)) for word in words])
        if grown := len(vocabulary) - before:
            lengths = [len(word) for word in islice(reversed(vocabulary), grown)]
            self._letters += sum(lengths)
            if max(lengths) > self._longest[0]:
                self._longest = (max(lengths), place)
            self._check_width()
        self._offsets.append(self._offsets[-1] + len(words))
        self._labels.append(label)
        self._parts.append(part)
        if len(self._tokens) > _SPILLED:
            self._spill()

    def _check_width(self) -> None:
        """One very long word must not make the array of all words many times larger."""
        width, place = self._longest
        limit = max(_PADDED, _PADDED_TIMES * self._letters)
        if width > _WORD_LIMIT or width * len(self._vocabulary) > limit:
            raise InputError(
                f"{place}: a word of {width:,} characters, too long for a vocabulary of "
                f"{len(self._vocabulary):,} words; cut it, or put blanks into it"
            )

    def _spill(self) -> None:
        """Put the tokens that are in memory into a file without a name."""
        if self._spilled is None:
            self._spilled = tempfile.TemporaryFile()
        self._tokens.tofile(self._spilled)
        self._tokens = array("i")

    def _all_tokens(self) -> np.ndarray:
        """(T,) int32; mapped from the file where there is one, which goes with the array."""
        if self._spilled is None:
            return np.frombuffer(self._tokens, dtype=np.intc).astype(np.int32)
        self._spill()
        with self._spilled as file:
            file.flush()
            return np.memmap(file, dtype=np.intc, mode="r")

    def corpus(self, checksums: dict[str, str], where: str, notes: Sequence[str] = ()) -> Corpus:
        names = sorted(set(self._labels), key=_label_order)
        if len(names) < 2:
            none = np.array([], dtype=int)
            self._summary(where, names, none.astype(str), none, notes).check()
        if not names:
            raise InputError(f"{where}: empty; a corpus of labelled sentences is needed")
        if len(names) < 2:
            raise InputError(f"{where}: only the label {names[0]!r}; two labels or more are needed")
        index = {name: i for i, name in enumerate(names)}
        words, tokens = np.array(list(self._vocabulary)), self._all_tokens()
        return Corpus(
            words=words,
            tokens=tokens,
            offsets=np.frombuffer(self._offsets, dtype=np.int64).copy(),
            labels=np.array([index[label] for label in self._labels], dtype=np.int32),
            label_names=tuple(names),
            sha256=checksums,
            summary=self._summary(where, names, words, tokens, notes),
            # A split of some of the texts is not an official split.
            part=np.array([PARTS.index(part) for part in self._parts], dtype=np.int8)
            if all(self._parts)
            else None,
        )

    def _summary(
        self,
        where: str,
        names: list[str],
        words: np.ndarray,
        tokens: np.ndarray,
        notes: Sequence[str],
    ) -> Summary:
        counts = np.bincount(tokens, minlength=len(words))
        letters = counts * np.char.str_len(words)
        numbers = [not word.isalpha() and _is_number(word) for word in words.tolist()]
        unspaced = [not word.isascii() and bool(_UNSPACED.search(word)) for word in words.tolist()]
        found = Counter(self._labels)
        lengths = np.diff(np.frombuffer(self._offsets, dtype=np.int64))
        return Summary(
            where=str(where),
            labels={name: found[name] for name in names},
            tokens=len(tokens),
            words=len(words),
            words_a_text=(float(np.median(lengths)), int(lengths.max()))
            if len(lengths)
            else (0, 0),
            letters=int(letters.sum()),
            dropped=self._dropped,
            numbers=float(counts[numbers].sum() / max(1, len(tokens))),
            unspaced=(
                float(letters[unspaced].sum() / max(1, letters.sum())),
                float(letters[unspaced].sum() / max(1, counts[unspaced].sum())),
            ),
            without_words=tuple(self.without_words),
            markup=self._markup,
            lost=self._lost,
            notes=tuple(notes),
        )


def _label_name(label: object, place: str) -> str:
    """What a label of Python is called; one that stands for a missing one is refused."""
    # The last two are of pandas, for dates and for all others.
    missing = not isinstance(label, str) and str(label).lower() in ("nan", "nat", "<na>")
    if label is None or missing:
        raise InputError(f"{place} has no label ({label}); give it one, or remove the text")
    # A column of whole numbers in which a cell was missing is one of floats.
    if isinstance(label, (float, np.floating)) and float(label).is_integer():
        label = int(label)
    return str(label)


def _is_number(word: str) -> bool:
    return word[-1:].isnumeric() and not any(map(str.isalpha, word))


def _label_order(name: str) -> tuple[int, int, str]:
    """Numbers by value, then names: so 0 and 1 are labels 0 and 1."""
    try:
        return (0, int(name), name)
    except ValueError:
        return (1, 0, name)


def read_corpus(paths: Iterable[str | Path], tokens: str = "kim") -> Corpus:
    """Read a labelled corpus from files, or a published one by its name.

    Encoding, line ends, gzip and the separator of a table are taken from the
    file itself; what is not as its name says stands in ``summary.notes``.

    Args:
        paths: one path, or the two of a pair:

            - the pair ``rt-polarity.pos`` and ``.neg`` of MR, a folder or
              ``.tar.gz`` that holds them, or another pair ``.pos``, ``.neg``
              (``.subjective``, ``.objective``), one sentence a line;
            - a table ``.tsv`` or ``.csv`` with columns ``label`` and ``text``,
              or of other common names; ``.jsonl`` with such fields;
            - fastText's ``__label__x text`` (``.cor``, ``.txt``, ...), or a
              number as label before each text (TREC, SST);
            - a folder that has a folder of texts for each label;
            - the name of a published corpus (mr, sst1, sst2, subj, trec, cr,
              mpqa, imdb), whose files are found in a folder of data and compared
              with their checksums.  A path of that name is used first.

            A column ``split`` of a table (train, dev, test) is an official split.
            Files may be packed with gzip.
        tokens (str): ``"kim"`` or ``"whitespace"``.

    Returns:
        Corpus: positives first for MR; the order of the file otherwise.

    Raises:
        InputError: for another `tokens`, or when a file is missing, empty, damaged, of one
            label, or probably misread; see :meth:`replicate.io.summary.Summary.check`.

    Example:
        >>> corpus = read_corpus([sample_path()[0]])
        >>> len(corpus), corpus.label_titles, corpus.summary.words_a_text
        (200, ('negative', 'positive'), (20.0, 49))

    Source:
        Pang and Lee (2005), sentence polarity dataset v1.0.
    """
    builder = _Builder(tokens)
    texts = labelled_texts(paths)
    for row in texts:
        builder.add(row.text, row.label, row.place, row.part)
    corpus = builder.corpus(texts.sha256, texts.where, texts.notes)
    if corpus.summary is not None:
        corpus.summary.check()
    return corpus
