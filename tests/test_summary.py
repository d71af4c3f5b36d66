"""What was read of a corpus: counted, put in words, and refused where it is surely misread."""

import json
import re
from pathlib import Path

import pytest

from replicate.io.errors import InputError
from replicate.io.summary import BOUNDS, Summary


def summary(**other):
    """Forty texts of two labels, as good as any."""
    good = {"where": "x.tsv", "labels": {"neg": 20, "pos": 20}, "tokens": 400, "words": 90}
    return Summary(**{**good, "words_a_text": (10, 20), "letters": 1600, **other})


def test_a_good_corpus_passes_unchanged():
    assert summary().check() == summary()
    assert summary().texts == 40 and summary().letters_a_word == 4


@pytest.mark.parametrize("other", ["POS", "Pos"])
def test_labels_that_may_be_one_are_named(other):
    assert summary(labels={"pos": 20, other: 20}).alike() == [("pos", other)]
    assert summary(labels={"0": 20, "0.0": 20}).alike() == [("0", "0.0")]
    assert not summary().alike()


@pytest.mark.parametrize("none", ["NaN", "None", "null", "NA", "n/a", "<NA>"])
def test_labels_that_may_be_none_are_named(none):
    """A cell without a value is a class of its own to the reader; it may be meant as one."""
    found = summary(labels={"pos": 3, none: 2, "neg": 3}).check()
    assert found.lines()[1] == f"labels: pos 3, {none} 2, neg 3; perhaps no label: {none}"
    plain = summary(labels={"pos": 3, "Nancy": 2, "nano": 3})
    assert "perhaps" not in plain.lines()[1]


def test_texts_whose_letters_are_lost_are_refused():
    with pytest.raises(InputError, match="x.tsv"):
        summary(letters=10, dropped=1590).check()


def test_the_pool_is_counted():
    pooled = summary().with_pool([True, False, False], ["a note"])
    assert (pooled.pool, pooled.pool_without_known_word, pooled.notes) == (3, 2, ("a note",))
    assert summary().pool is None


def test_control_characters_do_not_reach_the_terminal():
    """Of a label, a name or a note; letters of any language do."""
    odd = summary(
        where="x\x9b.tsv", labels={"\x1b[31mred": 20, "RED\x07": 20, "très 日本": 3},
        notes=("caf\udce9: read",),
    )  # fmt: skip
    text = "".join(odd.lines())
    assert text.isprintable()
    for part in (r"x\x9b.tsv", r"\x1b[31mred 20", r"RED\x07 20", "très 日本 3", r"caf\udce9: read"):
        assert part in text
    assert list(odd.to_dict()["labels"])[0] == "\x1b[31mred"  # what is kept is as it was


def test_json_keeps_the_counts():
    kept = json.loads(json.dumps(summary().with_vectors(0.5).to_dict()))
    assert (kept["texts"], kept["tokens"], kept["words"]) == (40, 400, 90)
    assert kept["labels"] == {"neg": 20, "pos": 20}


def test_the_page_states_every_bound():
    """In the order of the bounds, and with their values."""
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+ \| (?:more|less) than (\d+)( %)?.* \|$", page, re.MULTILINE)
    stated = [float(number) / (100 if percent else 1) for number, percent in rows]
    assert stated == list(BOUNDS.values())
