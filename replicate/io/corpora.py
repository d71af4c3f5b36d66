"""Formats of corpora and pools: texts and labels out of files, folders and archives, one by one.

A reader knows nothing of words: what a text is made of is the corpus's concern.
"""

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from .data import POLARITY_FILES, SAMPLE_FILE, Paths, find_published, paths_of
from .errors import InputError, shorten, unreadable
from .files import DAMAGED_TAR, sha256
from .lines import LIMIT, Member, Text, form_of, lines_of, readable
from .published import PUBLISHED, Published, by_name
from .tables import json_lines, table

__all__ = ["PAIRS", "Texts", "labelled_texts", "polarity_archive", "pool_texts"]

# An archive of two small files is no larger.
_ARCHIVE_LIMIT = 16 << 20
_MEMBER_LIMIT = 100

#: Suffixes of a pair of files, and the labels of their texts.
PAIRS = ({".pos": "1", ".neg": "0"}, {".subjective": "subjective", ".objective": "objective"})

_TABLES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_JSON = (".jsonl", ".ndjson", ".json")
_LABELLED_LINES = (
    ".cor", ".ft", ".fasttext", ".txt", ".train", ".valid", ".dev", ".test", ".all",
)  # fmt: skip
_NAMES = ".tsv, .csv, .jsonl, fastText's .cor or .txt (each .gz too)"

# fastText parts words at these, and at no blank outside ASCII.
_FASTTEXT_BLANKS = re.compile(r"[ \n\r\t\v\f\0]+")


class Texts:
    """The texts of a source, to be iterated over once.

    Attributes:
        where (str): the source, for messages.
        sha256 (dict): file name -> checksum; whole after the last text.
        notes (list of str): what was not as its name says, such as another
            encoding or separator; whole after the last text.
    """

    def __init__(
        self,
        where: object,
        sha256: dict[str, str],
        read: Callable[["Texts"], Iterable[Text]],
    ) -> None:
        self.where = str(where)
        self.sha256 = sha256
        self.notes: list[str] = []
        self._read = read

    def __iter__(self) -> Iterator[Text]:
        return iter(self._read(self))


def labelled_texts(paths: Paths) -> Texts:
    """Labelled texts of one or two paths, or of a published corpus by its name; see :func:`replicate.corpus.read_corpus`.

    Raises:
        InputError: when a file is missing, empty, damaged or of another kind.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "x.cor"
        >>> _ = place.write_text("__label__good a fine film\\n")
        >>> [(row.label, row.text) for row in labelled_texts([place])]
        [('good', 'a fine film')]
    """
    files = paths_of(paths)
    for path in files:
        if path.exists():
            continue
        corpus = by_name(str(path))
        if corpus is None:
            raise InputError(
                f"{path}: no such file, nor the name of a published corpus "
                f"({', '.join(PUBLISHED)}); check the name, or run `replicate fetch`"
            )
        if len(files) > 1:
            raise InputError(f"--corpus {path}: a published corpus; name it alone, or files alone")
        return _published(corpus)
    if len(files) == 2:
        for pair in PAIRS:
            named = {_suffix(path): path for path in files}
            if set(named) == set(pair):
                both: list[Path | Member] = [named[suffix] for suffix in pair]
                return _pair(both, pair, files[0].parent)
        raise InputError(
            f"{files[0]}, {files[1]}: two files must be the pair .pos and .neg "
            "(or .subjective and .objective); name one file otherwise"
        )
    if len(files) != 1:
        raise InputError("--corpus: name one file, one folder, or the pair .pos and .neg")
    path = files[0]
    if path.is_dir():
        return _folder(path)
    if path.name.lower().endswith((".tar.gz", ".tgz", ".tar")):
        return _archive(path)
    read = _reader(path, labelled=True)
    if read is None:
        raise InputError(
            f"{path}: not a corpus by its name; name {_NAMES}, a .tar.gz of MR, "
            "a folder, or the pair .pos and .neg"
        )
    return Texts(path, {path.name: sha256(path)}, lambda texts: read(path, texts.notes))


def pool_texts(path: str | Path) -> Texts:
    """Texts of a pool, which need no labels: a table, JSON Lines, or one text a line.

    Args:
        path: as of :func:`labelled_texts`, without the folders and pairs;
            in a ``.txt`` each line that is not blank is a text.

    Raises:
        InputError: when the file is missing, damaged or of another kind.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "pool.txt"
        >>> _ = place.write_text("a fine film\\n\\nso dull\\n")
        >>> [(row.line, row.text) for row in pool_texts(place)]
        [(1, 'a fine film'), (3, 'so dull')]
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; name the pool, a .tsv, .csv, .jsonl or .txt")
    read = _reader(path, labelled=False)
    if read is None:
        raise InputError(f"{path}: not a pool by its name; name {_NAMES}")
    return Texts(path, {path.name: sha256(path)}, lambda texts: read(path, texts.notes))


def _suffix(path: Path) -> str:
    """The ending that names a format, in small letters, with ``.gz`` taken off."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _reader(path: Path, labelled: bool) -> Callable[[Path, list[str]], Iterator[Text]] | None:
    """The function of path and notes that reads a file of this name; None for another name."""
    suffix = _suffix(path)
    if suffix in _TABLES:
        return lambda path, notes: table(path, notes, _TABLES[suffix], labelled)
    if suffix in _JSON:
        return lambda path, notes: json_lines(path, notes, labelled)
    if suffix in _LABELLED_LINES:
        return lambda path, notes: _lines_of_texts(path, notes, labelled)
    return None


# --- one text a line -----------------------------------------------------------------


def _texts_of_lines(path: Path | Member, notes: list[str], label: str = "") -> Iterator[Text]:
    """A text a line, all of one label; blank lines are passed over."""
    blank = 0
    form = form_of(path, notes, western=True, line="text")
    for number, line in enumerate(lines_of(path, form), start=1):
        if line.strip():
            yield Text(line, label, number, f"{path}: line {number}")
        else:
            blank += 1
    if blank:
        notes.append(f"{path.name}: blank lines passed over: {blank}")


def _pair(
    paths: Sequence[Path | Member],
    labels: dict[str, str],
    where: Path,
    checksums: dict[str, str] | None = None,
) -> Texts:
    """The sentences of two files, one a line, positives first."""

    def read(texts: Texts) -> Iterator[Text]:
        for path, label in zip(paths, labels.values()):
            sentences = _texts_of_lines(path, texts.notes, label)
            first = next(sentences, None)
            if first is None:
                raise InputError(f"{path} is empty; sentences, one a line, are needed")
            yield first
            yield from sentences

    if checksums is None:
        checksums = {path.name: sha256(path) for path in paths if isinstance(path, Path)}
    return Texts(where, checksums, read)


def _lines_of_texts(path: Path, notes: list[str], labelled: bool) -> Iterator[Text]:
    """Lines that begin with a label, as fastText or Kim's files have them; others in a pool only."""
    first = next(_texts_of_lines(path, []), None)
    if first is None:
        raise InputError(f"{path}: empty; texts are needed, one a line")
    if first.text.lstrip().startswith("__label__"):
        return _fasttext(path, notes)
    # In a .txt that is a pool a number may be the first word.
    if _KIM_LINE.match(first.text) and (labelled or _suffix(path) != ".txt"):
        return _kim_lines(path, notes)
    if labelled:
        raise InputError(
            f"{first.place} does not start with __label__ and a name, nor with a number as "
            f"label; give it one, or name {_NAMES}"
        )
    return _texts_of_lines(path, notes)


# A label of one or two digits and a blank before the text: TREC and SST as Kim had them.
_KIM_LINE = re.compile(r"(\d{1,2})[ \t]+(?=\S)")


def _kim_lines(path: Path, notes: list[str]) -> Iterator[Text]:
    notes.append(f"{path.name}: the number before a text taken as its label")
    for text in _texts_of_lines(path, notes):
        found = _KIM_LINE.match(text.text)
        if not found:
            raise InputError(f"{text.place}: no number as label before the text; give it one")
        yield text._replace(label=found[1], text=text.text[found.end() :])


def _fasttext(path: Path, notes: list[str]) -> Iterator[Text]:
    # The sample is a part of MR, whose labels are 1 and 0.
    names = {"pos": "1", "neg": "0"} if path.name == SAMPLE_FILE else {}
    for text in _texts_of_lines(path, notes):
        words = [word for word in _FASTTEXT_BLANKS.split(text.text) if word]
        labels = [word[len("__label__") :] for word in words if word.startswith("__label__")]
        if not labels:
            raise InputError(f"{text.place} does not start with __label__; correct it")
        label, *others = dict.fromkeys(labels)
        if others:
            raise InputError(
                f"{text.place} has {1 + len(others)} labels ({shorten(label)}, "
                f"{shorten(others[0])}); keep one a text"
            )
        name = re.split("[,;]", label)[0]
        if not label or name != label:
            raise InputError(
                f"{text.place} has the label {shorten(label)}; write __label__{name or 'NAME'}, "
                "then a blank, then the text"
            )
        rest = " ".join(word for word in words if not word.startswith("__label__"))
        yield text._replace(label=names.get(label, label), text=rest)


# --- published corpora ---------------------------------------------------------------


def _published(corpus: Published) -> Texts:
    """A published corpus: all its parts as one, in the order of its files."""
    paths = find_published(corpus)
    files = corpus.files if paths[0].name == corpus.files[0].name else corpus.copies
    checksums = {file.name: file.sha256 for file in files}

    def read(texts: Texts) -> Iterator[Text]:
        for path, file in zip(paths, files):
            if file.name == _REVIEWS:
                yield from _reviews(path)
            elif file.label:
                yield from _texts_of_lines(path, texts.notes, file.label)
            else:
                form = _reader(path, labelled=True)
                assert form is not None, "the files of the table have names that readers know"
                for text in form(path, []):
                    yield text._replace(part=file.part or text.part)

    return Texts(f"{corpus.title} in {paths[0].parent}", checksums, read)


_REVIEWS = PUBLISHED["imdb"].files[0].name
_REVIEW = re.compile(r"aclImdb/(test|train)/(neg|pos)/[^/]+\.txt")


def _reviews(path: Path) -> Iterator[Text]:
    """The labelled reviews of the Large Movie Review Dataset, out of its archive, by name."""
    found = []
    try:
        with tarfile.open(path, mode="r|gz") as archive:
            for member in archive:
                known = _REVIEW.fullmatch(member.name)
                content = archive.extractfile(member) if known and member.isfile() else None
                if known and content is not None:
                    text = content.read(LIMIT).decode("utf-8")
                    found.append((member.name, text, known[1], known[2]))
    except (*DAMAGED_TAR, OSError, zlib.error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise unreadable(path, error) or InputError(
            f"{path}: not a sound archive ({reason}); fetch it again"
        ) from None
    # As by their folders: first test, and of each part first the negative reviews.
    for name, text, part, kind in sorted(found):
        yield Text(text, "1" if kind == "pos" else "0", 0, f"{path}: {name}", part)


# --- folders and archives --------------------------------------------------------------


def _folder(path: Path) -> Texts:
    """MR's pair, or a folder of texts for each label, one text a file."""
    pair = [path / name for name in POLARITY_FILES]
    with readable(path):
        inner = sorted(p for p in path.iterdir() if p.is_dir() and p.name[0] != ".")
    # Reviews without a label lie beside those of the Large Movie Review Dataset.
    folders = [p for p in inner if p.name in ("pos", "neg")]
    # A program's own folders begin with _, such as __MACOSX, and so may a label: a note has them.
    folders = folders if len(folders) == 2 else [p for p in inner if p.name[0] != "_"]
    there = [member.is_file() for member in pair]
    if all(there):
        return _pair(pair, PAIRS[0], path)
    if any(there) or len(folders) < 2:
        beside = " (names that begin with _ do not count)" if len(folders) < len(inner) else ""
        raise InputError(
            f"{pair[there[0]]}: not in the folder, nor two folders of texts, such as pos and neg"
            f"{beside}; name a file, or run `replicate fetch`"
        )
    for p in folders:
        if re.search("[\ud800-\udfff]", p.name):  # bytes that are not UTF-8, as Python has them
            raise InputError(
                f"{path}: the name of the folder {shorten(p.name)} is not UTF-8; rename it, for "
                "it is a label"
            )
    files = [(p.name, file) for p in folders for file in _texts_in(p)]
    checksums: dict[str, str] = {}

    def read(texts: Texts) -> Iterator[Text]:
        texts.notes += [f"{path.name}: {p.name} left out" for p in inner if p not in folders]
        odd: list[str] = []
        digest = hashlib.sha256()
        for label, file in files:
            text = "\n".join(lines_of(file, form_of(file, odd, western=True)))
            digest.update(f"{label}/{file.name} {sha256(file)}\n".encode(errors="surrogateescape"))
            if len(text) > LIMIT:
                raise InputError(f"{file}: longer than {LIMIT:,} characters; cut it")
            yield Text(text, label, 0, str(file))
        texts.notes += odd[:1] + [f"and {len(odd) - 1} files more"] * (len(odd) > 1)
        checksums[path.resolve().name] = digest.hexdigest()

    return Texts(path, checksums, read)


def _texts_in(folder: Path) -> list[Path]:
    """The files of a folder of texts, by name."""
    with readable(folder):
        inside = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    for place in inside:
        if place.is_dir():
            raise InputError(
                f"{place}: a folder among texts; name the folder whose folders are the labels"
            )
        if place.suffix.lower() not in ("", ".txt"):
            raise InputError(
                f"{place}: not a text by its name; texts of folders end in .txt or in nothing"
            )
    return inside


def _archive(path: Path) -> Texts:
    """MR from its archive, in memory; nothing is unpacked to the disk."""
    with readable(path), open(path, "rb") as file:
        found = polarity_archive(file.read(_ARCHIVE_LIMIT + 1), path)
    members = [Member(name, found[name], str(path)) for name in POLARITY_FILES]
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    return _pair(members, PAIRS[0], path, checksums)


def polarity_archive(data: bytes, where: object) -> dict[str, bytes]:
    """Contents of MR's two files, by name, from the bytes of their archive.

    Only these two are read, in memory; names in the archive are compared and
    never used as paths, and links and devices are passed over.

    Args:
        data (bytes): a ``.tar.gz`` or ``.tar`` of at most 16 MiB, unpacked too.
        where: its name, for messages.

    Raises:
        InputError: for an archive that is damaged, truncated or too large, or
            that lacks or repeats a file.
    """
    found = {}
    try:
        if data[:2] == b"\x1f\x8b":
            # To the end, where the checksum is.
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(_ARCHIVE_LIMIT + 1)
        if len(data) > _ARCHIVE_LIMIT:
            raise ValueError(f"more than {_ARCHIVE_LIMIT:,} bytes")
        # In memory, so that no promise in a header can be for more than there is.
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for number, member in enumerate(archive):
                name = member.name.rsplit("/", 1)[-1]
                # A negative size makes some versions of tarfile read a header again and again.
                if number >= _MEMBER_LIMIT:
                    raise ValueError(f"more than {_MEMBER_LIMIT} members")
                if name in POLARITY_FILES and member.isfile():
                    # A sparse member has any size that it likes.
                    if name in found or member.size > len(data):
                        raise ValueError(f"{name} is too large or there twice")
                    content = archive.extractfile(member)
                    found[name] = content.read() if content else b""
    except (*DAMAGED_TAR, OSError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{where}: not a sound archive ({reason}); fetch it again") from None
    for name in POLARITY_FILES:
        if name not in found:
            raise InputError(f"{where}: {name} is not in it; name the archive of MR")
    return found
