"""What was read, in a few lines, and the bounds above which it is refused.

A wrong encoding, separator or reading of words gives a table that looks as
any other.  These numbers show it before anything is trained.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .errors import InputError

__all__ = ["BOUNDS", "Summary"]

#: Values beyond which input is refused, each far from what sound corpora have.
BOUNDS = {
    # French loses 4 % of its letters by Kim's cleaning, Polish 7, Russian and Japanese all.
    "letters_dropped": 0.10,
    # A few lines of marks occur in sound corpora; more is another column or encoding.
    "texts_without_words": 0.01,
    # Of Japanese in words 2, of its sentences 10 and more.
    "letters_a_word_unspaced": 6.0,
    # Of English 4, of German 6; of texts that are one word or two.
    "letters_a_word": 20.0,
    # Of reviews 2 %.
    "numbers": 0.50,
    # Of more than 10 labels: a column of names or numbers taken for the labels.
    "labels_a_text": 0.25,
    # At least: GoogleNews has 75 % of MR's words, vectors of another language 5 % at most.
    "tokens_with_vector": 0.10,
    "pool_without_known_word": 0.50,
}


# Control characters, and the halves that Python has of bytes that are not UTF-8.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# What programs write into a cell that has no value.
_MISSING = {"nan", "none", "null", "na", "n/a", "nat"}


@dataclass(frozen=True)
class Summary:
    """Counts of what was read of N texts, T tokens and V word types.

    Attributes:
        where (str): the file or folder.
        labels (dict): name -> number of texts.
        tokens (int): T.
        words (int): V.
        words_a_text (tuple): median and greatest number.
        letters, dropped (int): letters and marks that are left, letters that cleaning dropped.
        numbers (float): share of the tokens that are numbers.
        unspaced (tuple): share of the characters that are of a script which
            is written without blanks (Japanese, Chinese, Thai, ...), and the
            mean length of the tokens that hold them.
        without_words (tuple of str): places of texts that have no words.
        markup (int): texts with tags or entities, other than line breaks.
        lost (int): texts with U+FFFD, which stands for a lost letter.
        notes (tuple of str): encodings, separators, columns that are not the expected.
        tokens_with_vector (float): share; None for random vectors.
        pool (int): texts of the pool; None without a pool.
        pool_without_known_word (int): of them, those without a word of the corpus.

    Example:
        >>> print("\\n".join(Summary("x.tsv", {"pos": 2, "Pos": 1}, 12, 9, (4, 5)).lines()))
        x.tsv: 3 texts, 12 words of 9 types; 4 words a text, at most 5
        labels: pos 2, Pos 1; alike: pos and Pos
    """

    where: str
    labels: dict[str, int]
    tokens: int
    words: int
    words_a_text: tuple[float, int]
    letters: int = 0
    dropped: int = 0
    numbers: float = 0.0
    unspaced: tuple[float, float] = (0.0, 0.0)
    without_words: tuple[str, ...] = ()
    markup: int = 0
    lost: int = 0
    notes: tuple[str, ...] = ()
    tokens_with_vector: float | None = None
    pool: int | None = None
    pool_without_known_word: int = 0

    @property
    def texts(self) -> int:
        """N, the texts that have words."""
        return sum(self.labels.values())

    @property
    def letters_dropped(self) -> float:
        """Share of the letters that cleaning dropped."""
        return self.dropped / max(1, self.letters + self.dropped)

    @property
    def letters_a_word(self) -> float:
        """Mean length of a token."""
        return self.letters / max(1, self.tokens)

    def alike(self) -> list[tuple[str, str]]:
        """Pairs of labels that may be meant as one: ``0`` and ``0.0``, ``pos`` and ``Pos``."""
        first: dict[object, str] = {}
        pairs = [(first.setdefault(_meant(name), name), name) for name in self.labels]
        return [pair for pair in pairs if pair[0] != pair[1]]

    def missing(self) -> list[str]:
        """Labels that may stand for a missing one: ``NaN``, as tables have it, ``None``, ``NA``."""
        return [name for name in self.labels if name.casefold().strip("<>") in _MISSING]

    def with_vectors(self, tokens_with_vector: float) -> "Summary":
        """The same with the share of tokens that have a vector."""
        return dataclasses.replace(self, tokens_with_vector=float(tokens_with_vector))

    def with_pool(self, known: Sequence[bool], notes: Sequence[str] = ()) -> "Summary":
        """The same with a pool: for each text, whether a word of it is known."""
        lacking = sum(not one for one in known)
        notes = (*self.notes, *notes)
        return dataclasses.replace(
            self, pool=len(known), pool_without_known_word=lacking, notes=notes
        )

    def to_dict(self) -> dict[str, Any]:
        """What was read, for JSON; files are named without their folders."""
        found = {
            "texts": self.texts,
            "labels": self.labels,
            "labels_alike": [list(pair) for pair in self.alike()],
            "tokens": self.tokens,
            "words": self.words,
            "words_a_text": list(self.words_a_text),
            "letters_a_word": self.letters_a_word,
            "letters_dropped": self.letters_dropped,
            "numbers": self.numbers,
            "texts_without_words": [self._short(place) for place in self.without_words],
            "texts_with_markup": self.markup,
            "texts_with_lost_letters": self.lost,
            "tokens_with_vector": self.tokens_with_vector,
            "notes": list(self.notes),
        }
        if self.pool is not None:
            found["pool"] = self.pool
            found["pool_without_known_word"] = self.pool_without_known_word
        return found

    def lines(self) -> list[str]:
        """What was read, in a few lines for people; control characters are escaped."""
        median, longest = self.words_a_text
        found = [
            f"{self.where}: {self.texts:,} texts, {self.tokens:,} words of {self.words:,} types; "
            f"{median:.0f} words a text, at most {longest:,}"
        ]
        shown = [f"{name[:40]} {count:,}" for name, count in self.labels.items()]
        more = f", and {len(shown) - 20} more" if len(shown) > 20 else ""
        alike = "".join(f"; alike: {one} and {two}" for one, two in self.alike()[:5])
        none = "".join(f"; perhaps no label: {name}" for name in self.missing())
        found.append(f"labels: {', '.join(shown[:20])}{more}{alike}{none}")
        if self.letters or self.dropped:
            found.append(f"{self.letters_dropped:.1%} of the letters dropped by the cleaning")
        if self.without_words:
            found.append(
                f"texts without words, left out: {len(self.without_words)} ({self._places()})"
            )
        if self.markup:
            found.append(f"{self.markup:,} texts hold markup, which is read as words")
        if self.lost:
            found.append(f"{self.lost:,} texts hold U+FFFD: an earlier program lost letters")
        if self.tokens_with_vector is not None:
            found.append(f"{self.tokens_with_vector:.1%} of the words have a vector")
        if self.pool is not None:
            found.append(
                f"pool: {self.pool:,} texts, {self.pool_without_known_word:,} of them without a "
                "word of the corpus"
            )
        # A label or name may hold what moves the cursor of a terminal or changes its colours.
        return [_CONTROL.sub(lambda c: ascii(c[0])[1:-1], line) for line in [*found, *self.notes]]

    def check(self) -> "Summary":
        """Refuse what is probably misread; returns itself.

        Raises:
            InputError: above one of :data:`BOUNDS`, with what was found and
                the remedy.
        """
        if self.dropped >= 20 and self.letters_dropped > BOUNDS["letters_dropped"]:
            self._refuse(
                f"the cleaning drops {self.letters_dropped:.0%} of the letters, which are not A "
                "to Z; choose --set tokens=whitespace (after a tokenizer, for a language without "
                "blanks between words)"
            )
        n, total = len(self.without_words), self.texts + len(self.without_words)
        if n == 1 and total * BOUNDS["texts_without_words"] < 1:
            # A text is a line of a file, but for folders of texts: there it is the file.
            what = "line" if re.search(r": line \d+(: empty)?$", self.without_words[0]) else "file"
            raise InputError(
                f"{self.without_words[0]}: no words are left after cleaning; remove that {what}"
            )
        if n > total * BOUNDS["texts_without_words"]:
            self._refuse(
                f"no words are left after cleaning in {n} of {total} texts ({self._places()}); "
                "remove them, or choose --set tokens=whitespace where they are not empty"
            )
        unspaced, length = self.unspaced
        if unspaced > 0.5 and length > BOUNDS["letters_a_word_unspaced"]:
            self._refuse(
                f"a word has {length:.0f} characters on average, so the texts are not split into "
                "words; run a tokenizer first, so that blanks stand between words"
            )
        if self.words_a_text[0] <= 2 and self.letters_a_word > BOUNDS["letters_a_word"]:
            self._refuse(
                f"a word has {self.letters_a_word:.0f} characters on average; split the texts "
                "into words, with blanks between them"
            )
        if self.tokens >= 20 and self.numbers > BOUNDS["numbers"]:
            self._refuse(
                f"{self.numbers:.0%} of the words are numbers; name the column of texts 'text', "
                "and check the separator"
            )
        if len(self.labels) > max(10, total * BOUNDS["labels_a_text"]):
            self._refuse(
                f"{len(self.labels)} labels in {total} texts; name the column of labels 'label', "
                "and check the separator"
            )
        share = self.tokens_with_vector
        if share is not None and share < BOUNDS["tokens_with_vector"]:
            self._refuse(
                f"only {share:.1%} of the words have a vector; name vectors of this language, "
                "or check the encoding of both files"
            )
        if self.pool_without_known_word > (self.pool or 0) * BOUNDS["pool_without_known_word"]:
            self._refuse(
                f"{self.pool_without_known_word} of {self.pool} texts of the pool have no word of "
                "this corpus; give a pool of the same language, encoding and tokenizer"
            )
        return self

    def _refuse(self, words: str) -> NoReturn:
        raise InputError(f"{self.where}: {words}")

    def _places(self) -> str:
        some = [self._short(place) for place in self.without_words[:10]]
        return ", ".join(some) + (", …" if len(self.without_words) > 10 else "")

    def _short(self, place: str) -> str:
        return Path(place.removeprefix(f"{self.where}: ")).name


def _meant(label: str) -> float | str:
    """What a label may mean: numbers by value, names without case, width and marks."""
    text = unicodedata.normalize("NFKC", label).casefold().strip()
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return re.sub(r"[\s_.'\"-]+", "", text) or text
