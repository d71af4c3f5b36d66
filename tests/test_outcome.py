"""The outcome sentence, banners and tiles: for every combination of verdicts, and without any."""

import csv
import dataclasses
from itertools import product
from pathlib import Path

import operating
import pytest

from replicate import claims
from replicate.show import outcome as module
from replicate.show.outcome import TILES, banners, outcome, tiles
from replicate.show.report import COLOUR_OF
from replicate.show.strings import TEXTS, Words
from replicate.verdicts import LEAST_SEEDS, judge

RESULTS = Path(__file__).resolve().parents[1] / "results"
EFFECTS = ("reproduced", "weaker", "direction only", "no such effect", "reversed", "undecided")
LANGUAGES = ("en", "ja")


def given(seeds=LEAST_SEEDS, **verdicts):
    """Verdicts of a run of some seeds, those of some claims replaced."""
    judged = judge([{f"size.{n}": 1.0 for n in ("T1", "T2h", "T2l", "T3")}] * seeds, False)
    return [
        dataclasses.replace(v, verdict=verdicts.get(v.claim.id, "undecided")) if v.parts else v
        for v in judged
    ]


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_combination_has_its_own_sentence(language):
    """One sentence each: F5's verdict, H's and O2's can be read from it."""
    words = Words(language)
    seen = {}
    for changes, half, random in product(EFFECTS, repeat=3):
        text = outcome(given(F5=changes, H=half, O2=random), words)
        assert "{" not in text and "  " not in text
        if language == "en":
            assert text[0].isupper() and text.count(".") == 1 and text.endswith(".")
        else:
            assert text.endswith("です。") and text.count("。") <= 2
        assert seen.setdefault(text, (changes, half, random)) == (changes, half, random)
        assert words.plain(f"outcome.changes.{changes}") in text
        for verdict in (half, random):
            assert words.plain(f"outcome.gain.{verdict}") in text
    assert len(seen) == len(EFFECTS) ** 3


def test_two_verdicts_that_read_alike_would_be_noticed(monkeypatch):
    """Twin: a text that is used for two verdicts makes two sentences one."""
    monkeypatch.setitem(TEXTS, "outcome.gain.weaker", TEXTS["outcome.gain.reproduced"])
    with pytest.raises(AssertionError):
        test_every_combination_has_its_own_sentence("en")


@pytest.mark.parametrize(
    "changes, gain, word",
    [
        ("reproduced", "no such effect", "; but "),
        ("reproduced", "reproduced", ", and "),
        ("reversed", "no such effect", ", and "),
        ("reversed", "weaker", "; but "),
        ("reproduced", "undecided", "; but "),
    ],
)
def test_but_stands_between_what_holds_and_what_does_not(changes, gain, word):
    assert word in outcome(given(F5=changes, H=gain, O2=gain), Words("en"))


def test_the_better_half_is_not_confused_with_a_random_one():
    text = outcome(given(F5="reproduced", H="reproduced", O2="reversed"), Words("en"))
    assert "a better model compared with the other half, and a worse model compared with a" in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("seeds", [0, 1, 2, LEAST_SEEDS - 1])
def test_too_few_seeds_decide_nothing(language, seeds):
    """Whatever the verdicts are; and the sentence says how many there are."""
    words = Words(language)
    text = outcome(given(seeds, F5="reproduced", H="reproduced", O2="reproduced"), words)
    assert words.plain("outcome.changes.reproduced") not in text
    if seeds > 1:
        assert str(seeds) in text and str(LEAST_SEEDS) in text
    assert (text == words.plain("outcome.none")) == (seeds == 0)
    assert (
        text == words.plain("outcome.few.one", seeds=1, least=LEAST_SEEDS)
    ) == (seeds == 1)  # fmt: skip
    (banner,) = banners(given(seeds), words, 10662, False, True)
    assert str(LEAST_SEEDS) in banner


def test_a_rule_that_decided_with_few_seeds_would_be_noticed(monkeypatch):
    """Twin."""
    monkeypatch.setattr(module, "LEAST_SEEDS", 1)
    with pytest.raises(AssertionError):
        test_too_few_seeds_decide_nothing("en", 2)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("seeds", [1, 3, 60])
def test_the_sample_decides_nothing(language, seeds):
    """Not even with seeds enough."""
    words = Words(language)
    verdicts = given(seeds, F5="reproduced", H="reproduced", O2="reproduced")
    assert outcome(verdicts, words, sample=True) == words.plain("outcome.sample")
    (banner,) = banners(verdicts, words, 200, True, False)
    assert "200" in banner and "make paper" in banner


def test_another_corpus_is_pointed_out():
    words = Words("en")
    assert banners(given(), words, 900, False, True) == []
    (banner,) = banners(given(), words, 900, False, False)
    assert "Not the paper’s corpus" in banner
    few, other = banners(given(3), words, 900, False, False)
    assert "Too few seeds" in few and other == banner


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, changes",
    [
        ("calibrated-googlenews-31530", "reproduced"),
        ("as-written-googlenews-31530", "reproduced"),
        ("five-filters-googlenews-31530", "reproduced"),
        ("five-filters-imdb", "reproduced"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_committed_runs(name, changes, language):
    """What the two runs of 200 seeds found, and the numbers of their tiles."""
    words = Words(language)
    verdicts = judge(operating.committed_rows(name))
    text = outcome(verdicts, words)
    assert words.plain(f"outcome.changes.{changes}") in text
    assert words.plain("outcome.gain.no such effect") in text
    made = {tile["name"]: tile for tile in tiles(verdicts, words, COLOUR_OF)}
    with open(RESULTS / name / "claims.csv", newline="", encoding="utf-8") as file:
        table = {row["id"]: row for row in csv.DictReader(file)}
    for tile, (members, shown) in TILES.items():
        found = [(one["id"], one["verdict"]) for one in made[tile]["claims"]]
        assert found == [(m, words.plain(f"verdict.{table[m]['verdict']}")) for m in members]
        assert sum(count["number"] for count in made[tile]["counts"]) == len(members)
        assert len(made[tile]["numbers"]) == len(shown)
    levels = made["levels"]["numbers"]
    assert (
        levels[0]["ours"] == f"{float(table['A1']['ours']):.3f}" and levels[0]["paper"] == "0.780"
    )
    first = made["selection"]["numbers"][0]
    assert first["ours"].startswith(f"{100 * float(table['H']['ours']):+.2f}")


def test_a_level_that_does_not_apply_has_no_figure_of_the_paper():
    for applies, paper in ((True, "0.780"), (False, "")):
        table = [{"A.T1andT2": 0.8 + i / 1e3} for i in range(60)]
        made = tiles(judge(table, applies), Words("en"), COLOUR_OF)
        assert made[1]["numbers"][0]["paper"] == paper


def test_every_claim_but_the_sizes_is_in_one_tile():
    members = [member for names, _ in TILES.values() for member in names]
    assert sorted(members) == sorted(claim.id for claim in claims.CLAIMS)
