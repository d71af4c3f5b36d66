"""What `replicate explain` shows: the models of all epochs, in colours, numbers, JSON and HTML."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import click
import numpy as np
import pytest
from click.testing import CliRunner
from odd_corpus import LABELS, ODD_WORDS
from rich.console import Console

from replicate import cli
from replicate.commands.experiment import _epochs
from replicate.config import Config
from replicate.experiment import prepare, run_first_phase
from replicate.io.errors import InputError
from replicate.model import trained_model
from replicate.run import Options, Run
from replicate.saliency import flat_batch, word_saliency
from replicate.show import explain

TEXTS = ["film word1 zorblax", " ".join([*ODD_WORDS, "word1"])]


@pytest.fixture(scope="module")
def run(reported_run):
    return reported_run


@pytest.fixture(scope="module")
def explained(run):
    return explain.explain(run, TEXTS)


def test_every_epoch_that_was_kept_is_told(run, explained):
    for e in explained:
        assert e.epochs.tolist() == [1, 2, 3, 4, 5, 6] and len(e.labels) == 6
        assert e.saliency.shape == (6, len(e.words))
        assert ((e.probability >= 0.5) & (e.probability <= 1)).all()


def test_a_sentence_of_the_corpus_has_its_recorded_saliency(run):
    t1 = np.flatnonzero(run.subset(0) == 1)
    tokens, offsets = run.corpus.take(t1)
    saliency = np.load(run.folder(0, "T1") / "saliency.npy", allow_pickle=False)
    doubt = np.load(run.folder(0, "T1") / "doubt.npy", allow_pickle=False)
    predicted = np.load(run.folder(0, "T1") / "predicted.npy", allow_pickle=False)
    # A sentence of either label, so that neither the labels nor the sentences can be exchanged.
    places = [int(np.flatnonzero(predicted[-1] == label)[0]) for label in (0, 1)]
    found = explain.explain(run, [run.corpus.sentence(t1[place]) for place in places])
    for e, place in zip(found, places):
        assert e.known.all()
        recorded = saliency[:, offsets[place] : offsets[place + 1]]
        assert e.saliency == pytest.approx(recorded, rel=1e-4, abs=1e-7)
        assert 1 - e.probability == pytest.approx(doubt[:, place], rel=1e-3, abs=1e-6)
        assert e.labels == [LABELS[label] for label in predicted[:, place]]
    assert found[0].probability != pytest.approx(found[1].probability, rel=1e-3)


def test_words_that_the_corpus_lacks_are_marked_and_count_as_zeros(run, explained):
    assert explained[0].known.tolist() == [True, True, False]
    last = explain.explain(run, TEXTS[:1])[0].saliency[-1]
    model = trained_model(run, 0, "T1")
    index = run.corpus.words.tolist()
    rows = np.array([index.index("film"), index.index("word1"), -1], dtype=np.int32)
    looked = word_saliency(model, flat_batch(model, rows, np.array([0, 3])))
    assert last == pytest.approx(looked.token_saliency, rel=1e-4, abs=1e-8)


def test_without_weights_of_the_epochs_the_last_is_told(run, tmp_path):
    options = Options(epoch_weights="none")
    paths = [run.out.parent / "corpus.tsv"]
    made = prepare(tmp_path / "run", run.config, options, [0], paths, "random", dimensions=6)
    run_first_phase(made, 0)
    (e,) = explain.explain(made, ["word1 film"])
    assert e.epochs.tolist() == [6]
    assert e.saliency[-1] == pytest.approx(explain.explain(run, ["word1 film"])[0].saliency[-1])


def test_what_cannot_be_explained_is_refused(run, refused):
    with refused("no words"):
        explain.explain(run, ["  "])
    with refused("seed 7 is not finished"):
        explain.explain(run, ["good"], seed=7)


# --- terminal ---------------------------------------------------------------------


def printed(explained, **options):
    file = io.StringIO()
    explain.render_terminal(explained, Console(file=file, width=100, **options))
    return file.getvalue()


GROUND = re.compile(r"\x1b\[38;2;(0;0;0|255;255;255);48;2;(\d+);(\d+);(\d+)m(\S+?)\x1b\[0m")


def test_terminal_has_colours_for_every_epoch(explained):
    shown = printed(explained[:1], force_terminal=True, color_system="truecolor")
    assert TEXTS[0] in shown.splitlines()[0]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert plain[1].startswith("Influence on the label, eq. (6): ")
    assert f"0 to {explained[0].saliency.max():.2g}" in plain[1]
    assert plain[2].split() == ["epoch", "label", "p", "words"]
    # What the header names stands under it.
    assert plain[3].index(f"{explained[0].probability[0]:.2f}") + 3 == plain[2].index(" p ") + 1
    found = GROUND.findall(shown)
    assert [word for *_, word in found] == ["film", "word1", "zorblax?"] * 6
    assert [
        (line[:5].strip(), line[7:].startswith(label))
        for line, label in zip(plain[3:], explained[0].labels)
    ] == [(str(e), True) for e in explained[0].epochs]
    reds = np.array([int(red) for _, red, *_ in found]).reshape(6, 3)
    share = explained[0].saliency / explained[0].saliency.max()
    assert np.abs(reds - (40 + 190 * share)).max() <= 0.5001
    assert "?: not in the corpus" in shown


def contrast(ink, ground):
    """Of WCAG 2."""
    light = []
    for colour in (ink, ground):
        parts = [c / 255 for c in colour]
        parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        light.append(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_words_can_be_read_on_every_ground():
    inks = {"#ffffff": (255, 255, 255), "#000000": (0, 0, 0)}
    for light in (False, True):
        found = [
            re.match(r"(#\w+) on rgb\((\d+),(\d+),(\d+)\)", explain._style(s / 50, light))
            for s in range(51)
        ]
        values = [contrast(inks[m[1]], [int(n) for n in m.groups()[1:]]) for m in found]
        assert min(values) >= 4.5
        # On white, black ink is enough.
        assert {m[1] for m in found} == ({"#000000"} if light else set(inks))
    # White alone could not.
    assert contrast(inks["#ffffff"], (230, 120, 20)) < 4.5


@pytest.mark.parametrize(
    "value, light",
    [("15;0", False), ("0;15", True), ("0;default;15", True), ("7;8", False), ("", False)],
)
def test_the_background_of_the_terminal(explained, monkeypatch, value, light):
    monkeypatch.setenv("COLORFGBG", value)
    assert explain.light_terminal() == light
    options = {"force_terminal": True, "color_system": "truecolor"}
    assert printed(explained[:1], **options) == printed_on(explained[:1], light, **options)
    assert printed(explained[:1], **options) != printed_on(explained[:1], not light, **options)


def printed_on(explained, light, **options):
    file = io.StringIO()
    explain.render_terminal(explained, Console(file=file, width=100, **options), light)
    return file.getvalue()


def test_a_table_where_there_is_no_terminal(explained):
    """CSV with all digits, also of words with commas and quotation marks."""
    text = printed(explained)
    assert "\x1b" not in text
    rows = list(csv.DictReader(io.StringIO(text)))
    at = 0
    for e in explained:
        for i, epoch in enumerate(e.epochs):
            for k, word in enumerate(e.words):
                row = rows[at]
                assert (row["text"], int(row["epoch"]), row["label"]) == (
                    e.text,
                    epoch,
                    e.labels[i],
                )
                assert (int(row["position"]), row["word"]) == (k + 1, word)
                assert row["known"] == str(int(e.known[k]))
                assert np.float32(row["saliency"]) == e.saliency[i, k]
                assert np.float32(row["probability"]) == np.float32(e.probability[i])
                at += 1
    assert at == len(rows) > 100


def test_some_epochs(run, explained, refused):
    (some,) = explain.explain(run, TEXTS[:1], epochs=[-1, 2, 2])
    assert some.epochs.tolist() == [2, 6] and len(some.labels) == 2
    assert (some.saliency == explained[0].saliency[[1, 5]]).all()
    with refused("epoch 7 were not kept"):
        explain.explain(run, TEXTS[:1], epochs=[7])


@pytest.mark.parametrize(
    "text, epochs", [("1,10,last", [1, 10, -1]), ("2-4", [2, 3, 4]), ("last", [-1]), (None, None)]
)
def test_epochs_are_a_list_or_a_range(text, epochs):
    assert _epochs(None, None, text) == epochs


@pytest.mark.parametrize("text", ["", "0", "x", "4-2", "1-", "-1", "99999999"])
def test_odd_epochs_are_refused(text):
    with pytest.raises(click.BadParameter, match="write epochs"):
        _epochs(None, None, text)


def test_the_command_shows_some_epochs(run):
    rows = list(csv.DictReader(io.StringIO(called(run.out, "film word1", "--epochs", "2,last"))))
    assert [r["epoch"] for r in rows] == ["2", "2", "6", "6"]


def test_another_script_has_its_own_remedy():
    """Kim's cleaning drops what is not Latin: a longer text would not help."""
    assert "--set tokens=whitespace" in explain._wordless("日本語", "kim")
    assert "longer text" in explain._wordless("...", "kim")
    assert "longer text" in explain._wordless(" ", "whitespace")


def test_words_that_look_like_markup_of_the_terminal_are_words(run):
    (e,) = explain.explain(run, ["[bold]good[/bold] film"])
    assert "[bold]good[/bold]?" in printed([e], force_terminal=True)
    assert ",[bold]good[/bold],0," in printed([e])


# --- command, JSON, HTML --------------------------------------------------------------


def called(*arguments):
    result = CliRunner().invoke(cli.cli, ["explain", *map(str, arguments)], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.stdout


def test_json_is_what_was_found(run, explained):
    for told, e in zip(json.loads(called(run.out, *TEXTS, "--json")), explained):
        assert told["text"] == e.text and told["words"] == e.words
        assert told["known"] == e.known.tolist() and told["epochs"] == e.epochs.tolist()
        assert told["labels"] == e.labels
        assert np.array(told["probability"]) == pytest.approx(e.probability)
        assert np.array(told["saliency"]) == pytest.approx(e.saliency)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_html_shows_words_as_text(run, explained, tmp_path):
    place = tmp_path / "shown.html"
    assert called(run.out, *TEXTS, "--html", place).strip() == str(place)
    page = Tags(place.read_text(encoding="utf-8"))
    assert "script" not in page.tags and "img" not in page.tags
    assert {*TEXTS, "zorblax?", *ODD_WORDS, *explained[0].labels} <= set(page.texts)
    # A number in every cell, for those who do not see colours.
    cells = [text for text in page.texts if re.fullmatch(r"\d\.\d\de[-+]\d\d", text)]
    assert len(cells) == 6 * sum(len(e.words) for e in explained)


def test_labels_of_mr_have_names(tmp_path):
    for name, word in (("rt-polarity.pos", "good"), ("rt-polarity.neg", "bad")):
        (tmp_path / name).write_text("".join(f"{word} film {i % 5}\n" for i in range(40)))
    config = Config(n_filters=2, epochs=3, learning_rate=0.01, batch_size=10)
    run = prepare(tmp_path / "run", config, Options(), [0], [tmp_path], "random", dimensions=4)
    run_first_phase(run, 0)
    (e,) = explain.explain(Run(run.out), ["good film"])
    assert set(e.labels) <= {"negative", "positive"}


def test_a_run_that_has_not_begun_is_refused(tmp_path):
    result = CliRunner().invoke(cli.cli, ["explain", str(tmp_path), "good"], standalone_mode=False)
    assert isinstance(result.exception, InputError)


def test_a_folder_is_its_run(run, explained):
    for folder in (run.out, str(run.out)):
        found = explain.explain(folder, TEXTS)
        assert [e.words for e in found] == [e.words for e in explained]
        assert all((a.saliency == b.saliency).all() for a, b in zip(found, explained, strict=True))


def test_no_epoch_is_refused(run, tmp_path, refused):
    """Of what is empty no page can be made; nor is a folder without a run one."""
    for epochs in ([], (), np.array([], dtype=int)):
        with refused("epochs = "):
            explain.explain(run, TEXTS, epochs=epochs)
    with refused(tmp_path / "none"):
        explain.explain(tmp_path / "none", TEXTS)
