"""Figures: the same bytes for the same results, and CSVs of what is drawn."""

import csv
import dataclasses
import io
import shutil
import warnings
import weakref

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text
from scipy import stats

from replicate import inference, statistics
from replicate import verdicts as judging
from replicate.config import PAPER, Config
from replicate.experiment import conclude, prepare, run_seed, statistics_of
from replicate.run import Options, Run
from replicate.show import figures, forest


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny finished run of one seed."""
    folder = tmp_path_factory.mktemp("figures")
    lines = [
        f"{i % 2}\t{'good' if i % 3 else 'bad'} film {' '.join(f'w{(i * k) % 11}' for k in range(1, 16))}"
        for i in range(80)
    ]
    corpus = folder / "corpus.tsv"
    corpus.write_text("label\ttext\n" + "\n".join(lines) + "\n")
    config = Config(n_filters=3, epochs=6, batch_size=10, learning_rate=0.01)
    run = prepare(folder / "run", config, Options(), [0], [corpus], "random", dimensions=6)
    run_seed(run, 0)
    return run


@pytest.fixture(scope="module")
def drawn(run):
    """The Matplotlib figures of the run, drawn once: name -> figure."""
    made = {}
    real = figures.save_figure

    def keep(figure, stem):
        made[stem.name] = figure
        return real(figure, stem)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save_figure", keep)
        figures.draw_figures(run)
    return made


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_figures_are_drawn_in_three_forms_and_repeat_byte_by_byte(run, drawn):
    folder = run.out / "figures"
    names = {f"fig{n}.{kind}" for n in (3, 4, 5, 6) for kind in ("png", "svg", "csv")}
    assert {place.name for place in folder.iterdir()} == names | {"table1.csv"}
    before = {place.name: place.read_bytes() for place in folder.iterdir()}
    figures.draw_figures(run)
    assert {place.name: place.read_bytes() for place in folder.iterdir()} == before


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
def test_figure_6_draws_the_accuracies(run):
    drawn = rows(run.out / "figures" / "fig6.csv")
    curves = run.accuracies(0)
    assert {row["arm"] for row in drawn} == set(figures.ARM_COLOURS) - {"T1"}
    for row in drawn:
        assert float(row["mean"]) == curves[row["arm"]][int(row["epoch"]) - 1, 1]


@pytest.mark.usefixtures("drawn")
def test_figure_3_is_standardised_saliency_of_correct_sentences(run):
    record = run.record(0)
    t1 = np.flatnonzero(run.subset(0) == 1)
    drawn = rows(run.out / "figures" / "fig3.csv")
    place = {int(s): i for i, s in enumerate(t1)}
    assert all(record.correct[place[int(row["sentence"])]] for row in drawn)
    saliency = np.load(run.folder(0, "T1") / "saliency.npy", allow_pickle=False)
    _, offsets = run.corpus.take(t1)
    chosen = int(drawn[0]["sentence"])
    at = slice(offsets[place[chosen]], offsets[place[chosen] + 1])
    raw = saliency[2, at].astype(np.float64)
    expected = (raw - raw.mean()) / raw.std() if raw.std() else raw * 0
    found = [
        float(r["saliency"]) for r in drawn if r["sentence"] == str(chosen) and r["epoch"] == "3"
    ]
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.usefixtures("drawn")
def test_figure_5_sums_the_drawn_hundred(run):
    record = run.record(0)
    first = statistics.drawn_hundred(record.correct, 0)
    drawn = rows(run.out / "figures" / "fig5.csv")
    paper = [
        r for r in drawn if r["panel"].startswith("as in the paper") and r["sentences"] == "correct"
    ]
    # A change from n to n + 1 is plotted at n + 1.
    assert [int(r["epoch"]) for r in paper] == [2, 3, 4, 5, 6]
    expected = record.change["raw"][:, first[0]].sum(axis=1, dtype=np.float64)
    assert [float(r["mean"]) for r in paper] == pytest.approx(expected)


@pytest.mark.parametrize("over", ["sentence", "extracted", "T1"])
def test_sets_that_figures_standardise_over_differ(over):
    saliency = np.random.RandomState(0).rand(2, 9)
    parts = [np.arange(0, 3), np.arange(6, 9)]
    made = figures._standardised(saliency, parts, over)
    joined = np.concatenate(made, axis=1)
    if over == "sentence":
        assert [m.mean() for m in made] == pytest.approx([0, 0])
    elif over == "extracted":
        assert joined.mean() == pytest.approx(0) and abs(made[0].mean()) > 1e-3
    else:
        assert abs(joined.mean()) > 1e-3


def test_band_is_the_interval_of_the_mean():
    """Of three seeds SciPy's t interval; of two seeds the mean alone."""
    curves = np.array([[0.1, 1.0], [0.2, 1.5], [0.4, 1.1]])
    mean, low, high = figures.band(curves)
    wanted = stats.t.interval(0.95, 2, curves.mean(axis=0), stats.sem(curves, axis=0))
    assert mean == pytest.approx(curves.mean(axis=0))
    assert (low, high) == (pytest.approx(wanted[0]), pytest.approx(wanted[1]))
    assert figures.band(curves[:2])[1] == pytest.approx([0.15, 1.25])


@pytest.fixture(scope="module")
def three_drawn(recorded_run, tmp_path_factory):
    """A run of three seeds, with its figures."""
    run = Run(shutil.copytree(recorded_run.out, tmp_path_factory.mktemp("three") / "run"))
    figures.draw_figures(run, run.seeds)
    return run


@pytest.mark.slow
@pytest.mark.parametrize("name, arm", [("fig5", "misclassified"), ("fig6", "T1andT2h")])
def test_drawn_intervals_are_those_of_the_claims(three_drawn, name, arm):
    """An epoch of the figure's CSV against the claims' own function, on T1 and on T3."""
    run, seeds = three_drawn, three_drawn.seeds
    drawn = rows(run.figure(name).with_suffix(".csv"))
    epoch = 4
    if name == "fig5":
        curves = [statistics.change_curves(run.record(s))[1][epoch - 2] for s in seeds]
        found = [r for r in drawn if r["panel"].startswith("all") and r["sentences"] == arm]
    else:
        curves = [run.accuracies(s)[arm][epoch - 1, 1] for s in seeds]
        found = [r for r in drawn if r["arm"] == arm]
    (row,) = [r for r in found if int(r["epoch"]) == epoch]
    mean, deviation = np.mean(curves), np.std(curves, ddof=1)
    low, high = inference.mean_interval(mean, deviation, len(seeds))
    assert [float(row[n]) for n in ("mean", "low", "high")] == pytest.approx([mean, low, high])
    # Neither a line, nor the wider interval of other samples.
    assert low < mean
    assert inference.another_sample_interval(mean, deviation, len(seeds))[0] < low - 1e-9


def test_the_papers_levels_are_drawn_at_their_heights(drawn):
    """Fig. 6: each level beside its arm's colour, over the epochs that the paper speaks of."""
    (axis,) = drawn["fig6"].axes
    lines = [line for line in axis.lines if line.get_linestyle() == "--"]
    named = [t for t in axis.texts if t.get_text().startswith("paper: ")]
    levels = PAPER["levels"]
    assert len(lines) == len(named) == 3
    for line, name in zip(lines, named):
        arm, value = name.get_text().removeprefix("paper: ").rsplit(" ", 1)
        arms = [arm] if arm in levels else [a for a in levels if a not in ("T1andT2", "T1andT2h")]
        assert {levels[a] for a in arms} == {float(value)} and (arm in levels or len(arms) == 4)
        assert set(line.get_ydata()) == {float(value)} and name.xy[1] == float(value)
        assert line.get_color() == figures.ARM_COLOURS.get(arm, "#777777")
        # Six epochs as the paper's fifty.
        assert list(line.get_xdata()) == pytest.approx([6 * 40 / 50, 6])


@pytest.mark.slow
def test_no_misclassified_sentence(run, copied, monkeypatch):
    """A model that has learned T1 by heart: Fig. 4 is empty and says so; claims cannot tell."""
    real = Run.record

    def all_right(*arguments):
        record = real(*arguments)
        return dataclasses.replace(record, labels=record.predicted[-1])

    monkeypatch.setattr(Run, "record", all_right)
    run = copied(run)
    folder = run.out / "figures"
    figures.draw_figures(run)
    assert rows(folder / "fig4.csv") == [] and rows(folder / "fig3.csv")
    assert (folder / "fig4.png").stat().st_size > 5000
    table = [statistics_of(run, 0)]
    judged = judging.judge(table)[1:7]
    assert [v.claim.id[0] for v in judged] == ["F"] * 6
    assert {v.reason for v in judged} == {"undecided: not measured"}


# --- what can be read ------------------------------------------------------------


def cut_off(figure):
    """Texts that reach beyond the figure."""
    FigureCanvasAgg(figure).draw()
    width, height = figure.get_size_inches() * figure.dpi
    # Ticks out of view have a text, and are not drawn.
    unseen = {
        tick.label1
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    found = []
    for text in set(figure.findobj(Text)) - unseen:
        # An annotation's own extent is that of its line too.
        box = Text.get_window_extent(text)
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        if text.get_text().strip() and text.get_visible() and not inside:
            found.append(text.get_text())
    return found


def overlapping(figure):
    """Pairs of names at the ends of lines, one of which covers the other."""
    FigureCanvasAgg(figure).draw()
    pairs = []
    for axis in figure.axes:
        names = [t for t in axis.texts if isinstance(t, Annotation)]
        boxes = [(t.get_text(), Text.get_window_extent(t)) for t in names]
        for i, (one, a) in enumerate(boxes):
            # Letters have room above and below them in their boxes.
            pairs += [
                (one, other)
                for other, b in boxes[i + 1 :]
                if min(a.x1, b.x1) > max(a.x0, b.x0)
                and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.35 * min(a.height, b.height)
            ]
    return pairs


@pytest.mark.slow
def test_no_text_is_cut_off_or_covered(drawn):
    assert set(drawn) == {"fig3", "fig4", "fig5", "fig6"}
    assert {name: cut_off(figure) for name, figure in drawn.items()} == dict.fromkeys(drawn, [])
    assert {name: overlapping(figure) for name, figure in drawn.items()} == dict.fromkeys(drawn, [])


def test_text_that_is_cut_off_or_covered_is_noticed(drawn):
    figure = drawn["fig6"]
    added = figure.text(0.9, 0.5, "far too long a remark for the margin")
    assert cut_off(figure) == ["far too long a remark for the margin"]
    added.remove()
    name = figure.axes[0].texts[-1]
    added = figure.axes[0].annotate("here too", name.xyann, xycoords=name.anncoords, va="center")
    assert overlapping(figure) == [(name.get_text(), "here too")]
    added.remove()


def test_a_long_sentence_is_broken_and_punctuation_is_quoted(drawn):
    lines = drawn["fig3"].axes[0].get_title(loc="left").splitlines()
    assert max(map(len, lines)) <= 105
    with figures.mpl.rc_context(figures.STYLE):
        axis = figures.Figure().subplots()
        figures._label_ends(axis, 1, [(0.5, ",", "#000000"), (0.1, "n't", "#E69F00")])
    assert sorted(t.get_text() for t in axis.texts) == ["n't", "“,”"]


@pytest.mark.parametrize("colour", sorted({*figures.ARM_COLOURS.values(), *figures.WORD_COLOURS}))
def test_names_have_contrast(colour):
    linear = [
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in figures._ink(colour)
    ]
    assert 1.05 / (np.dot(linear, [0.2126, 0.7152, 0.0722]) + 0.05) >= 4.5


# --- words of other scripts -----------------------------------------------------------------


def characters(name):
    """Those that a font has."""
    from matplotlib import font_manager

    return set(font_manager.get_font(font_manager.findfont(name)).get_charmap())


def saved(text):
    """A figure of a text as bytes, drawn in our style."""
    data = io.BytesIO()
    with figures.styled():
        figure = figures.Figure()
        figure.text(0.5, 0.5, text)
        figure.savefig(data, format="png")
    return data.getvalue()


@pytest.mark.parametrize("fallback, boxes", [(("No Such Font", "STIXGeneral"), 0), ((), 1)])
def test_words_of_another_script_have_a_font(fallback, boxes, monkeypatch, caplog):
    """An installed font is taken where ours lacks a character; without one, the log says so."""
    lacking = chr(min(characters("STIXGeneral") - characters("DejaVu Sans")))
    plain = saved("film")
    monkeypatch.setattr(figures, "FALLBACK", fallback)
    drawn = saved(f"film {lacking} {lacking}")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == boxes and all("Noto Sans CJK" in line for line in lines)
    assert saved("film") == plain != drawn
    # Twin: what is drawn depends on the fonts.
    monkeypatch.setattr(figures, "FALLBACK", () if fallback else ("STIXGeneral",))
    assert saved(f"film {lacking} {lacking}") != drawn


def test_other_warnings_of_a_figure_are_not_lost():
    with pytest.warns(UserWarning, match="of another kind"), figures.styled():
        warnings.warn("of another kind", UserWarning, stacklevel=1)


# --- many seeds, and dollar signs -----------------------------------------------------------


def alive_at_once(run, monkeypatch):
    """How many records, of seven open files each, a report holds at once."""
    made, most = [], []
    real = Run.record

    def record(*arguments):
        made.append(weakref.ref(found := real(*arguments)))
        most.append(sum(one() is not None for one in made))
        return found

    monkeypatch.setattr(Run, "record", record)
    conclude(run)
    assert len(made) > len(run.seeds)
    return max(most)


@pytest.mark.slow
def test_a_report_holds_one_record_at_a_time(recorded_run, copied, monkeypatch):
    """Whatever the number of seeds: a process may have 1024 files open, and a record maps seven."""
    assert alive_at_once(copied(recorded_run), monkeypatch) == 1


@pytest.mark.slow
def test_records_that_are_held_are_noticed(recorded_run, copied, monkeypatch):
    """Twin: as the figures once did."""
    real, held = figures._pairs_5, []
    monkeypatch.setattr(figures, "_pairs_5", lambda record: held.append(record) or real(record))
    assert alive_at_once(copied(recorded_run), monkeypatch) >= 3


def test_dollar_signs_are_no_formulas():
    """Neither an error, nor italics without blanks; twin: Matplotlib itself reads formulas."""
    words = "$_{b$c a word for $20 or $30"
    assert len(saved(words)) > 1000
    figure = figures.Figure()
    figure.text(0.5, 0.5, words)
    with pytest.raises(ValueError, match="ParseException|Expected"):
        figure.savefig(io.BytesIO(), format="png")


@pytest.mark.slow
def test_a_run_of_words_and_a_file_with_dollar_signs_is_drawn(run, copied, monkeypatch):
    """In titles, names at lines and captions of all figures."""
    run = copied(run)
    words = np.char.add(np.char.add("$_{", run.corpus.words), "$")
    monkeypatch.setattr(run, "_corpus", dataclasses.replace(run.corpus, words=words))
    run.settings["vectors"].update(name="v$_{b$c.bin", sha256="")
    assert "$_{b$c" in run.title
    figures.draw_figures(run)
    forest.draw(run, judging.judge([statistics_of(run, 0)]), [0])
    assert "$_{" in run.figure("fig3").with_suffix(".csv").read_text()
    # Twin: with formulas it ends.
    monkeypatch.setitem(figures.STYLE, "text.parse_math", True)
    with pytest.raises(ValueError, match="ParseException|Expected"):
        figures.draw_figures(run)
