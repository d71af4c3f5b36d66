"""The table of the report's texts: both languages have all, and no text is unused."""

import re
import string
from pathlib import Path

import pytest

from replicate import claims
from replicate.beyond import ceiling, choice, convergence, rivals
from replicate.config import Config
from replicate.settings import VECTOR_TITLES
from replicate.show import strings, wording
from replicate.show.answers import TRUST
from replicate.show.outcome import TILES
from replicate.show.report import COLOUR_OF, FIGURES
from replicate.show.strings import LANGUAGES, TEXTS, TRANSLATED, Words
from replicate.show.wording import seeds_note, sentence
from replicate.verdicts import judge

SHOW = Path(strings.__file__).parent
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
EFFECTS = ("reproduced", "weaker", "direction only", "no such effect", "reversed", "undecided")
#: Keys that are put together: beginning -> endings.
FAMILIES = {
    "verdict.": COLOUR_OF,
    "outcome.changes.": EFFECTS,
    "outcome.gain.": (*EFFECTS, "both", "each"),
    "said.": wording.PHRASES,
    "tile.": (*TILES, *(f"{name}.asks" for name in TILES), "paper"),
    "tile.number.": [claim for _, shown in TILES.values() for claim in shown],
    **{f"{name}.": ("short", "title", "says", "caption") for name in ("fig3", "fig4")},
    "fig5.": ("short", "title", "says", "caption", "panel.paper", "panel.all", "panel.logit",
              "y.sum", "y.mean"),
    "fig6.": ("short", "title", "says", "caption", "levels", "panel.means", "y", "points"),
    "fig.": ("correct", "misclassified", "standardised", "no_sentence", "one_kind", "level"),
    "step.": [f"{step}{end}" for step in ("train", "record", "words", "halves", "models")
              for end in ("", ".text")]
             + ["train.sized", "halves.sized", "words.stable", "words.unstable"],
    "answers.": ("title", "intro", "questions", "rivals", "rivals.about", "without", "choice", "choice.about",
                 "ceiling", "ceiling.about", "trust", "trust.about", "best.seen", "best.real",
                 "best.known",
                 "measure", "ours", "paper", "interval", "seeds", "answer", "score", "share"),
    "answers.source.": ceiling.SOURCES,
    "answers.trust.": [key for texts in TRUST.values() for key in texts.values()] + ["about"],
}  # fmt: skip


def sources():
    """Everything that can ask for a text."""
    places = [*SHOW.glob("*.py"), *(SHOW / "templates").glob("*.html"),
              *(SHOW / "templates").glob("*.js")]  # fmt: skip
    skipped = ("strings.py", "d3.min.js", "explain.html")
    return "\n".join(p.read_text(encoding="utf-8") for p in places if p.name not in skipped)


def family(key):
    """The longest beginning of a key that is put together."""
    return max((start for start in FAMILIES if key.startswith(start)), key=len, default="")


def unused(texts, source):
    """Keys that no source names and no family has."""
    wrong = []
    for key in texts:
        start = family(key)
        if start:
            if key.removeprefix(start) not in FAMILIES[start]:
                wrong.append(key)
        elif f'"{key}"' not in source and not (
            key.startswith("js.") and re.search(rf'"{re.escape(key[3:])}"', source)
        ):
            wrong.append(key)
    return wrong


def asked(source):
    """Keys that the sources ask for by their whole name, and those of the families."""
    found = set(re.findall(r'(?:\bt|words|words\.plain)\(\s*"([\w. ]+)"', source))
    found |= {f"js.{key}" for key in re.findall(r'said\("([\w.]+)"', source)}
    return found | {start + end for start, ends in FAMILIES.items() for end in ends}


def test_no_key_is_unused():
    assert unused(TEXTS, sources()) == []


def test_an_unused_key_is_noticed():
    added = {**TEXTS, "claims.forgotten": ("", ""), "verdict.odd": ("", ""), "js.odd": ("", "")}
    assert unused(added, sources()) == ["claims.forgotten", "verdict.odd", "js.odd"]


def test_no_key_is_missing():
    assert asked(sources()) - set(TEXTS) == set()
    assert set(FIGURES) == {"fig3", "fig4", "fig5", "fig6"}


def test_a_missing_key_is_noticed():
    source = sources() + '{{ t("claims.forgotten") }} said("odd")'
    assert asked(source) - set(TEXTS) == {"claims.forgotten", "js.odd"}


def fields(text):
    """Names in braces, and the HTML elements around them."""
    names = sorted({name for _, name, _, _ in string.Formatter().parse(text) if name is not None})
    return names, sorted(re.findall(r"</?\w+", text))


def wrong_pairs(texts):
    """Keys whose two texts differ in their values or HTML, or one of which is missing or English."""
    wrong = []
    for key, pair in texts.items():
        same = key in ("said.between", "said.share", "repeat.version", "said.title")
        if len(pair) != len(LANGUAGES) or not (all(pair) or same):
            wrong.append(key)
        elif fields(pair[0]) != fields(pair[1]):
            wrong.append(key)
        elif JAPANESE.search(pair[0]) or not (
            JAPANESE.search(pair[1]) or same or not re.search("[a-z]{3}", strip(pair[1]))
        ):
            wrong.append(key)
    return wrong


def strip(text):
    """A text without values, HTML and names of arms."""
    return re.sub(r"\{\w+\}|<[^>]*>|T1and\w+", "", text)


def test_both_languages_have_every_text():
    assert wrong_pairs(TEXTS) == []


@pytest.mark.parametrize(
    "pair",
    [
        ("a {n} b", "日本 {m}"),
        ("a <code>b</code>", "日本"),
        ("only one",),
        ("some text", ""),
        ("some text", "some text"),
        ("日本語", "日本語"),
    ],
)
def test_a_wrong_pair_is_noticed(pair):
    assert wrong_pairs({**TEXTS, "odd": pair}) == ["odd"]


def elsewhere():
    """Texts of claims, readings and answers that a page may show."""
    found = []
    for claim in (claims.S1, *claims.CLAIMS):
        found += [claim.statement, claim.paper, claim.how, *(part.title for part in claim.parts)]
    found += [row[3] for row in Config.readings()]
    for _, measure, _, _, says in convergence.QUESTIONS:
        found += [measure, f"yes: {says}"]
    found += [part.title for part in choice._CHOICE]
    found += [score.name for score in rivals.SCORES] + list(rivals.CONTROLS)
    found += ["no", "better", "worse", "usual", "rare", "never in 7"]
    found += [*COLOUR_OF, *VECTOR_TITLES.values(), "random vectors"]
    found += [
        "standard deviation of 20 random halves in a seed",
        "place of T1andT2h among 20 random halves, 0 worst, 1 best",
        "rank correlation of A_S between two first phases of a seed",
        "share of T2h that two first phases have in common; by chance 0.5",
        "first phases for a reliability of 0.9",
        "reliability of the average of 20",
        "p = 0.31 (exact, all places equally likely)",
        seeds_note([0, 1, 5]),
        seeds_note([0, 90]),
    ]
    for table in ([], [{"O2.mean": 0.1}] * 3, [{"O2.mean": (-1) ** i} for i in range(60)]):
        for corpus in (True, False):
            found += [v.reason for v in judge(table, corpus) if v.reason]
    sizes = {"size.T1": 4796.0, "size.T2h": 2400.0, "size.T2l": 2399.0, "size.T3": 1067.0}
    found.append(judge([sizes])[0].reason)
    found.append(
        "undecided: the interval includes a limit (T1andT2h, growth, by updates); more seeds decide"
    )
    return found


def english(text):
    """Words of a Japanese text that are still English."""
    kept = re.sub(
        r"T1and\w+\*?|T[123][hl]?\*?|A_S|wac|fc/W|uniform|softmax|Kim|AdaDelta|Chainer|multichannel",
        "",
        text,
    )
    return re.findall(r"[A-Za-z]{4,}|\b(?:of|the|and|or|in|no)\b", kept)


#: Names that Japanese texts use as they are.
NAMES = {"GoogleNews", "IMDB", "word", "GraNd", "BADGE", "TracIn", "paper"}


def test_texts_that_stand_elsewhere_are_translated():
    words = Words("ja")
    wrong = {text: words.of(text) for text in elsewhere() if set(english(words.of(text))) - NAMES}
    assert wrong == {}
    assert [Words("en").of(text) for text in elsewhere()] == elsewhere()


def test_a_text_that_is_not_translated_is_noticed():
    assert english(Words("ja").of("a new claim about words")) != []


def test_no_translation_is_unused():
    """Each is a text of claims, readings, answers or vectors, or a part of one."""
    texts = elsewhere()
    # Reasons and answers have texts inside of them.
    inside = [text for text in TRANSLATED if text not in texts]
    joined = "\n".join(texts)
    assert [text for text in inside if text not in joined] == []


def test_said_is_the_sentence_of_the_claims():
    """In English word by word; in Japanese with the same numbers."""
    table = [
        {"O2.mean": 0.01 + i / 1e4, "A.T1andT2h": 0.76 + i / 1e4, "A.T1andT2l": 0.75,
         "A.T1andT2ran": 0.75, "F4.log_ratio": 0.3 + i / 1e3, "A.T1andT2": 0.78}
        for i in range(60)
    ]  # fmt: skip
    seen = set()
    for verdict in (*judge(table), *judge(table[:3]), *judge([], False)):
        text = Words("ja").said(verdict)
        assert Words("en").said(verdict) == sentence(verdict)
        assert text.endswith("。") and not set(english(text)) - NAMES
        numbers = re.findall(r"[+-]?\d+\.\d+", sentence(verdict))
        assert sorted(re.findall(r"[+-]?\d+\.\d+", text)) == sorted(numbers)
        seen.add(verdict.verdict)
    assert {"reproduced", "alike", "undecided", "not applicable"} <= seen


def test_values_are_escaped_and_texts_are_not():
    text = Words("en")("vectors.file", name="<b>", known_types="1", known_words="2", unknown="u")
    assert "<code>&lt;b&gt;</code>" in text
