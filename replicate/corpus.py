"""Labelled sentences as flat arrays of word indices, never padded (section 5.1)."""

import csv
import functools
import gzip
import hashlib
import io
import os
import re
import tarfile
import tempfile
import zlib
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .io.errors import InputError
from .io.files import DAMAGED_TAR, load_npz, save_npz, sha256

__all__ = ["Corpus", "clean_kim", "find_data", "read_corpus", "sample_path", "tokenize"]

POLARITY_FILES = ("rt-polarity.pos", "rt-polarity.neg")
#: The sample and the vectors beside it, as gensim's package names them.
SAMPLE_FILE, SAMPLE_VECTORS = "pang_lee_polarity.cor", "pang_lee_polarity_fasttext.vec"

#: Names of word vectors in a folder of data, the preferred first.
VECTOR_FILES = (
    "GoogleNews-vectors-negative300.bin.gz",
    "GoogleNews-vectors-negative300.bin",
    "googlenews-mr-subset.bin.gz",
)

# What is larger is no review, none of its words, and no archive of two small files.
_ROW_LIMIT = 4 << 20
_WORD_LIMIT = 1000
_ARCHIVE_LIMIT = 16 << 20

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

    Example:
        >>> corpus = Corpus.from_texts(["good film", "bad film"], ["1", "0"])
        >>> corpus.tokens.tolist(), corpus.offsets.tolist(), corpus.labels.tolist()
        ([0, 1, 2, 1], [0, 2, 4], [1, 0])
    """

    words: np.ndarray
    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    label_names: tuple
    sha256: dict

    def __len__(self):
        return len(self.labels)

    @property
    def lengths(self):
        """(N,) int64: words of each sentence."""
        return np.diff(self.offsets)

    @property
    def label_titles(self):
        """The labels as they are shown: what MR's 0 and 1 mean, others as they are.

        Example:
            >>> Corpus.from_texts(["good film", "bad film"], ["1", "0"]).label_titles
            ('0', '1')
        """
        files = {name.rsplit(".", 1)[-1] for name in self.sha256}
        of_mr = files == {"neg", "pos"} or set(self.sha256) == {SAMPLE_FILE}
        plain = tuple(self.label_names) == ("0", "1")
        return ("negative", "positive") if of_mr and plain else tuple(self.label_names)

    def sentence(self, n):
        """The words of sentence `n`, joined by blanks."""
        return " ".join(self.words[self.tokens[self.offsets[n] : self.offsets[n + 1]]])

    def take(self, sentences):
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

    @classmethod
    def from_texts(cls, texts, labels, tokens="kim", where="texts"):
        """A corpus from Python strings; `labels` are names of labels.

        Raises:
            InputError: for fewer than two labels or a text without words.
            ValueError: when there are not as many labels as texts.
        """
        builder = _Builder(tokens)
        for number, (text, label) in enumerate(zip(texts, labels, strict=True), start=1):
            builder.add(text, str(label), f"{where}: text {number}")
        return builder.corpus({}, where)

    def save(self, path):
        """Write ``corpus.npz``: words, tokens, offsets, label."""
        arrays = {
            "words": self.words,
            "tokens": self.tokens,
            "offsets": self.offsets,
            "label": self.labels,
        }
        save_npz(path, arrays)

    @classmethod
    def load(cls, path, label_names, checksums):
        """Read ``corpus.npz`` back.

        Raises:
            InputError: when the file is damaged or its arrays do not agree.
        """
        spec = {"words": ("U", (None,)), "tokens": ("i", (None,)), "offsets": ("i", (None,))}
        # Tokens stay on the disk: processes share them, and a large corpus need
        # not fit into memory.
        arrays = load_npz(path, {**spec, "label": ("i", (None,))}, mapped=("tokens",))
        words, tokens, offsets = arrays["words"], arrays["tokens"], arrays["offsets"]
        labels = arrays["label"]
        agree = (
            len(offsets) == len(labels) + 1
            and offsets[0] == 0
            and offsets[-1] == len(tokens)
            and (np.diff(offsets) > 0).all()
            and (len(tokens) == 0 or (0 <= tokens.min() and tokens.max() < len(words)))
            and (len(labels) == 0 or (0 <= labels.min() and labels.max() < len(label_names)))
        )
        if not agree:
            raise InputError(f"{path}: its arrays do not agree; remove the folder and run again")
        return cls(words, tokens, offsets, labels, tuple(label_names), dict(checksums))


# Kim (2014), process_data.py: what is kept, and what is set apart.
_SUFFIX = re.compile(r"('s|'ve|n't|'re|'d|'ll)")
_MARK = re.compile(r"([,!()?])")


def clean_kim(text):
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


def tokenize(text, tokens):
    """Words of a text under the reading `tokens` (kim or whitespace)."""
    return (clean_kim(text) if tokens == "kim" else text.lower()).split()


class _Builder:
    """Grows the flat arrays sentence by sentence: no text is kept, and few tokens in memory."""

    def __init__(self, tokens):
        self._rule = tokens
        self._vocabulary = {}
        self._tokens = array("i")
        self._spilled = None
        self._offsets = array("q", [0])
        self._labels = []

    def add(self, text, label, where):
        words = tokenize(text, self._rule)
        if not words:
            raise InputError(f"{where}: no words are left after cleaning; remove that line")
        if len(text) > _WORD_LIMIT and (longest := max(map(len, words))) > _WORD_LIMIT:
            # The vocabulary is one array, as wide as its longest word.
            raise InputError(
                f"{where}: a word of {longest:,} characters, at most {_WORD_LIMIT:,} are read; cut it"
            )
        vocabulary = self._vocabulary
        self._tokens.extend([vocabulary.setdefault(word, len(vocabulary)) for word in words])
        self._offsets.append(self._offsets[-1] + len(words))
        self._labels.append(label)
        if len(self._tokens) > _SPILLED:
            self._spill()

    def _spill(self):
        """Put the tokens that are in memory into a file without a name."""
        if self._spilled is None:
            self._spilled = tempfile.TemporaryFile()
        self._tokens.tofile(self._spilled)
        self._tokens = array("i")

    def _all_tokens(self):
        """(T,) int32; mapped from the file where there is one, which goes with the array."""
        if self._spilled is None:
            return np.frombuffer(self._tokens, dtype=np.intc).astype(np.int32)
        self._spill()
        with self._spilled as file:
            file.flush()
            return np.memmap(file, dtype=np.intc, mode="r")

    def corpus(self, checksums, where):
        names = sorted(set(self._labels), key=_label_order)
        if not names:
            raise InputError(f"{where}: empty; a corpus of labelled sentences is needed")
        if len(names) < 2:
            raise InputError(f"{where}: only the label {names[0]!r}; two labels or more are needed")
        index = {name: i for i, name in enumerate(names)}
        return Corpus(
            words=np.array(list(self._vocabulary)),
            tokens=self._all_tokens(),
            offsets=np.frombuffer(self._offsets, dtype=np.int64).copy(),
            labels=np.array([index[label] for label in self._labels], dtype=np.int32),
            label_names=tuple(names),
            sha256=checksums,
        )


def _label_order(name):
    """Numbers by value, then names: so 0 and 1 are labels 0 and 1."""
    try:
        return (0, int(name), name)
    except ValueError:
        return (1, 0, name)


def sample_path():
    """The 200 sentences of MR that come with gensim, and vectors beside them.

    Returns:
        tuple of Path: the corpus, its vectors (fastText, 100 dimensions).
    """
    from gensim.test.utils import datapath

    return (
        Path(datapath(SAMPLE_FILE)),
        Path(datapath(SAMPLE_VECTORS)),
    )


def data_folder():
    """The folder that ``REPLICATE_DATA`` names, or None.

    Raises:
        InputError: when it names no folder.
    """
    name = os.environ.get("REPLICATE_DATA")
    if not name:
        return None
    if not Path(name).is_dir():
        raise InputError(f"REPLICATE_DATA={name}: not a folder; correct or unset it")
    return Path(name)


def find_data():
    """Corpus and vectors at hand: MR where ``REPLICATE_DATA`` names its folder, else the sample.

    Returns:
        tuple: preset (``"paper"`` or ``"sample"``), the paths that
        :func:`read_corpus` takes, and the path of the word vectors.

    Raises:
        InputError: when ``REPLICATE_DATA`` names no folder, or one with MR and
            no vectors.

    Example:
        >>> preset, paths, vectors = find_data()
        >>> preset in ("sample", "paper"), vectors.is_file()
        (True, True)
    """
    folder = data_folder()
    if folder is None or not all((folder / name).is_file() for name in POLARITY_FILES):
        sample, vectors = sample_path()
        return "sample", [sample], vectors
    for name in VECTOR_FILES:
        if (folder / name).is_file():
            return "paper", [folder], folder / name
    raise InputError(f"{folder}: no word vectors; run `replicate fetch --dest {folder}`")


def read_corpus(paths, tokens="kim"):
    """Read a labelled corpus.

    Args:
        paths: one or two paths: the pair ``rt-polarity.pos`` and ``.neg`` of
            MR, a folder or ``.tar.gz`` that holds them, or one ``.tsv`` or
            ``.csv`` (``.gz`` too) in UTF-8 with header columns ``label`` and
            ``text``; ``.cor`` is fastText's ``__label__x text``.
        tokens (str): ``"kim"`` or ``"whitespace"``.

    Returns:
        Corpus: positives first for MR; the order of the file otherwise.

    Raises:
        InputError: when a file is missing, empty, damaged or of one label.

    Source:
        Pang and Lee (2005), sentence polarity dataset v1.0.
    """
    paths = [Path(path) for path in paths]
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file; check the name, or run `replicate fetch`")
    if len(paths) == 2:
        pair = sorted(paths, key=lambda path: path.suffix != ".pos")
        if [path.suffix for path in pair] != [".pos", ".neg"]:
            raise InputError(
                f"{paths[0]}, {paths[1]}: two files must be the pair .pos and .neg; "
                "name one file otherwise"
            )
        return _read_pair(pair, tokens)
    if len(paths) != 1:
        raise InputError("--corpus: name one file, one folder, or the pair .pos and .neg")
    path = paths[0]
    if path.is_dir():
        pair = [path / name for name in POLARITY_FILES]
        for member in pair:
            if not member.is_file():
                raise InputError(
                    f"{member}: not in the folder; name a file or run `replicate fetch`"
                )
        return _read_pair(pair, tokens)
    name = path.name.lower()
    if name.endswith((".tar.gz", ".tgz")):
        return _read_archive(path, tokens)
    if name.endswith((".tsv", ".csv", ".tsv.gz", ".csv.gz")):
        return _read_table(path, tokens)
    if name.endswith(".cor"):
        return _read_fasttext(path, tokens)
    raise InputError(
        f"{path}: not a corpus by its name; name .tsv, .csv (.gz), .tar.gz, "
        "a folder, or the pair .pos and .neg"
    )


def _read_pair(pair, tokens):
    parts = []
    for path in pair:
        try:
            parts.append((path.name, path.read_bytes(), path.parent))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check it") from None
    return _polarity(parts, tokens)


def _polarity(parts, tokens):
    """MR from the bytes of its two files, positives first.

    Lines end in LF.  The text is Windows-1252, in which NEL (0x85) is an
    ellipsis: ``str.splitlines`` on Latin-1 text would break lines there.
    """
    builder = _Builder(tokens)
    checksums = {}
    for (name, data, where), label in zip(parts, ("1", "0")):
        checksums[name] = hashlib.sha256(data).hexdigest()
        lines = data.split(b"\n")
        if lines and not lines[-1].strip():
            lines.pop()
        if not lines:
            raise InputError(f"{where}: {name} is empty; sentences, one a line, are needed")
        if b"\0" in data or data[:2] == b"\x1f\x8b":
            raise InputError(f"{where}: {name} is not text; one sentence a line is needed")
        for number, line in enumerate(lines, start=1):
            text = line.decode("cp1252", errors="replace")
            builder.add(text, label, f"{where}: {name} line {number}")
    return builder.corpus(checksums, where)


def _read_archive(path, tokens):
    """MR from its archive: only its two files are read, and nothing unpacked."""
    found = {}
    try:
        with open(path, "rb") as raw:
            opener = gzip.open if raw.read(2) == b"\x1f\x8b" else open
        # In memory, so that no promise in a header can be for more than there is;
        # to the end, where the checksum is.
        with opener(path, "rb") as file:
            data = file.read(_ARCHIVE_LIMIT + 1)
        if len(data) > _ARCHIVE_LIMIT:
            raise ValueError(f"more than {_ARCHIVE_LIMIT:,} bytes")
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                name = member.name.rsplit("/", 1)[-1]
                if name in POLARITY_FILES and member.isfile():
                    # A sparse member has any size that it likes.
                    if name in found or member.size > len(data):
                        raise ValueError(f"{name} is too large or there twice")
                    found[name] = archive.extractfile(member).read()
    except (*DAMAGED_TAR, OSError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a sound archive ({reason}); fetch it again") from None
    for name in POLARITY_FILES:
        if name not in found:
            raise InputError(f"{path}: {name} is not in it; name the archive of MR")
    return _polarity([(name, found[name], path) for name in POLARITY_FILES], tokens)


def _lines(path, encoding="utf-8", errors="strict"):
    """Lines of a text file, plain or ``.gz``, as :mod:`csv` wants them: with their ends."""
    try:
        opener = gzip.open if path.name.lower().endswith(".gz") else open
        with opener(path, "rb") as raw:
            read = functools.partial(raw.readline, _ROW_LIMIT + 1)
            for number, line in enumerate(iter(read, b""), start=1):
                if len(line) > _ROW_LIMIT:
                    raise InputError(
                        f"{path}: line {number} is longer than {_ROW_LIMIT:,} bytes; cut it"
                    )
                try:
                    text = line.decode(encoding, errors)
                except UnicodeDecodeError:
                    raise InputError(
                        f"{path}: line {number} is not UTF-8; save it as UTF-8"
                    ) from None
                if number == 1:
                    text = text.removeprefix("\ufeff")
                if "\0" in text:
                    raise InputError(f"{path}: line {number} is not text; name a text file")
                yield text
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); is it whole?") from None


def read_table(path, columns):
    """Rows of a ``.tsv`` or ``.csv`` (``.gz``) file, some columns of them.

    A row of a TSV is a line, and a field of it may stand in quotes with inner
    quotes doubled, as pandas writes it.  A CSV is quoted as usual (RFC 4180).

    Args:
        columns (dict): name -> whether it must be there.

    Yields:
        tuple: line number of the row's end, then the text of each column, or
        None where the column is absent.

    Raises:
        InputError: for a missing column, a row of another width, bad text.
    """
    path = Path(path)
    before = csv.field_size_limit(_ROW_LIMIT)
    number = 1
    try:
        tabs = path.name.lower().removesuffix(".gz").endswith(".tsv")
        rows = _tsv_rows(path) if tabs else _csv_rows(path)
        header = next(rows, (1, None))[1]
        if header is None:
            raise InputError(f"{path}: empty; a header and labelled texts are needed")
        missing = [name for name, needed in columns.items() if needed and name not in header]
        if missing:
            raise InputError(
                f"{path}: line 1 has no column {missing[0]!r}; "
                f"a header with {', '.join(columns)} is needed"
            )
        places = [header.index(name) if name in header else None for name in columns]
        for number, row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{path}: line {number} has {len(row)} fields, "
                    f"the header {len(header)}; correct that line"
                )
            yield (number, *[None if p is None else row[p] for p in places])
    except csv.Error as error:
        raise InputError(f"{path}: after line {number}: {error}; correct that line") from None
    finally:
        csv.field_size_limit(before)


def _csv_rows(path):
    length = 0

    def lines():
        nonlocal length
        for line in _lines(path):
            length += len(line)
            if length > _ROW_LIMIT:
                raise csv.Error(f"a row is longer than {_ROW_LIMIT:,} characters")
            yield line

    reader = csv.reader(lines(), strict=True)
    for row in reader:
        yield reader.line_num, row
        length = 0


def _tsv_rows(path):
    for number, line in enumerate(_lines(path), start=1):
        # A quote that is never closed is text: it must not swallow the next lines.
        row = next(csv.reader([line], delimiter="\t"), [])
        bare = line.rstrip("\r\n").split("\t")
        yield number, row if len(row) == len(bare) or line.count('"') % 2 == 0 else bare


def _read_table(path, tokens):
    builder = _Builder(tokens)
    for line, label, text in read_table(path, {"label": True, "text": True}):
        if not label.strip():
            raise InputError(f"{path}: line {line} has no label; give it one")
        # Markup of web pages is no word: reviews of the Large Movie Review
        # Dataset have it at every line break.
        builder.add(text.replace("<br />", " "), label.strip(), f"{path}: line {line}")
    return builder.corpus({path.name: sha256(path)}, path)


def _read_fasttext(path, tokens):
    builder = _Builder(tokens)
    names = {"__label__pos": "1", "__label__neg": "0"}
    # gensim's extract of MR keeps its Windows-1252 bytes.
    for number, line in enumerate(_lines(path, "cp1252", "replace"), start=1):
        label, _, text = line.partition(" ")
        if not label.startswith("__label__") or label.strip() == "__label__":
            raise InputError(f"{path}: line {number} does not start with __label__; correct it")
        builder.add(text, names.get(label, label[9:]), f"{path}: line {number}")
    return builder.corpus({path.name: sha256(path)}, path)
