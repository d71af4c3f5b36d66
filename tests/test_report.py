"""The report: self-contained, its policy, and every number of it in a file of the run."""

import base64
import csv
import hashlib
import json
import math
import re
import shlex
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from odd_corpus import LABELS, ODD_WORDS, conclude, odd_run
from scipy import stats

from replicate import claims, cli, inference
from replicate import verdicts as judging
from replicate.commands.options import config_of, data_of
from replicate.config import PRESETS, Config
from replicate.corpus import sample_path
from replicate.environment import commit
from replicate.experiment import prepare, statistics_of, verdicts_of
from replicate.io.published import PUBLISHED
from replicate.run import Options, Run
from replicate.settings import VECTOR_TITLES
from replicate.show import explorer, report, wording
from replicate.show.outcome import TILES, tiles
from replicate.show.strings import TEXTS, Words

TEMPLATES = Path(report.__file__).parent / "templates"
SUBSET = "80419219bd4e7143b9555a092b01522c5616b880758595a950df6eb687f77e41"
IMDB = "a060ffa2ef0ace97699a2d4f000aec786c741533dc338dd432b25b413dc6da79"
FULL = "21c05ae916a67a4da59b1d006903355cced7de7da1e42bff9f0504198c748da8"


class Page(HTMLParser):
    """Text, attributes, scripts and styles of a page, as a browser's parser finds them.

    Texts of drawings are apart: their numbers are those of axes (see test_panels.py).
    """

    VOID = ("meta", "input", "img", "br", "link", "hr")

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.raw, self.drawn = [], [], [], []
        self.open = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in [name for name, _ in self.open]:
            while self.open.pop()[0] != tag:
                pass

    def handle_data(self, data):
        if self.open and self.open[-1][0] in ("script", "style"):
            # A parser may hand a long text over in parts.
            before = self.raw.pop()[2] if self.raw and self.raw[-1][1] is self.open[-1][1] else ""
            self.raw.append((*self.open[-1], before + data))
        elif data.strip():
            inside = [tag for tag, _ in self.open]
            (self.drawn if "svg" in inside else self.texts).append(data.strip())

    @property
    def policy(self):
        """The content-security policy: directive -> sources."""
        found = [
            a["content"] for t, a in self.tags if a.get("http-equiv") == "Content-Security-Policy"
        ]
        assert len(found) == 1
        return {part.split()[0]: part.split()[1:] for part in found[0].split(";")}


@pytest.fixture(scope="module")
def run(reported_run, tmp_path_factory):
    made = Run(shutil.copytree(reported_run.out, tmp_path_factory.mktemp("report") / "run"))
    text = {
        "seconds": 754.25,
        "peak_memory_bytes": 171237376,
        "peak_together_bytes": 402653184,
        "jobs": 2,
        "machine": "Linux, 2 cores",
    }
    (made.out / "timing.json").write_text(json.dumps(text))
    return made


@pytest.fixture(scope="module")
def html(run):
    return report.write_report(run, verdicts_of(run)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def rows(place):
    with open(place, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- self-contained --------------------------------------------------------------


def outside(page):
    """Attributes that lead out of the page."""
    names = {
        "href",
        "src",
        "srcset",
        "action",
        "formaction",
        "data",
        "poster",
        "background",
        "ping",
    }
    return [
        (tag, name, value)
        for tag, attributes in page.tags
        for name, value in attributes.items()
        if name in names and not (value or "").startswith(("#", "data:"))
    ]


def test_no_address_leads_out_of_the_page(page, html):
    assert outside(page) == []
    assert "@import" not in html.split("</style>")[0] and "url(" not in html.split("</style>")[0]


@pytest.mark.parametrize(
    "added", ['<a href="https://example.org">', "<img src=x.png>", '<link href="a.css">']
)
def test_an_address_that_leads_out_is_noticed(html, added):
    assert outside(Page(html.replace("<main>", "<main>" + added)))


def test_anchors_lead_somewhere(page):
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for _, a in page.tags if a.get("href", "").startswith("#")} <= set(ids)


def unlisted(page):
    """Scripts and styles whose hash the policy does not name."""
    policy = page.policy
    found = []
    for tag, attributes, text in page.raw:
        if attributes.get("type") == "application/json":
            continue
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        if f"'sha256-{digest}'" not in policy[f"{tag}-src"]:
            found.append((tag, text[:30]))
    return found


def test_policy_names_every_script_and_style_by_its_hash(page):
    assert unlisted(page) == []
    assert [tag for tag, attributes, _ in page.raw if "type" not in attributes] == [
        "style",
        "script",
        "script",
        "script",
    ]
    policy = page.policy
    assert policy["default-src"] == ["'none'"] and policy["img-src"] == ["data:"]
    assert "unsafe" not in str(policy) and not any(
        "style" in a or "onclick" in a for _, a in page.tags
    )


def test_a_changed_script_is_noticed(html):
    assert (
        unlisted(Page(html.replace('"use strict";\n\nconst data', '"use strict";\n\nvar data')))
        != []
    )
    assert unlisted(Page(html.replace("</head>", "<script>window.x=1</script></head>"))) != []


def test_d3_is_that_of_its_package_with_its_licence(html):
    code = (TEMPLATES / "d3.min.js").read_bytes()
    # dist/d3.min.js of npm's package d3 7.9.2.
    assert hashlib.sha256(code).hexdigest() == D3
    terms = (TEMPLATES / "d3.LICENSE").read_text(encoding="utf-8")
    assert "permission notice appear in all copies" in terms and terms in html
    assert code.decode() in html


D3 = "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1"


# --- text of the corpus ------------------------------------------------------------


def test_odd_words_are_text(page, html, run):
    data = explorer.gather(run, 0)
    stored = json.loads(next(text for tag, a, text in page.raw if a.get("id") == "explorer-data"))
    assert stored == data
    static = [word for _, word, _, _ in report._extremes(data)]
    for word in static:
        assert word in page.texts
    assert set(static) & set(ODD_WORDS), (
        "the table shows none of the odd words: choose another seed"
    )
    # Nothing of the corpus became an element or a template.
    assert not [a for t, a in page.tags if t == "img"]
    assert [t for t, _ in page.tags].count("script") == 5 and "<!--" not in html.split("<script")[0]
    assert LABELS[0] not in html


def test_extremes_are_the_first_and_the_last_words(run):
    data = explorer.gather(run, 0)
    chosen = report._extremes(data)
    n = len(data["words"]["word"])
    assert [row[0] for row in chosen] == [*range(1, 13), *range(n - 7, n + 1)]
    few = {"words": {name: values[:5] for name, values in data["words"].items() if name != "known"}}
    assert [row[0] for row in report._extremes(few)] == [1, 2, 3, 4, 5]


# --- numbers -------------------------------------------------------------------------


def plain(html):
    """The text of some HTML, as a reader sees it."""
    return unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL)))


def claim_rows(html):
    """What stands at each claim: id -> name -> text; of its parts, a list of texts."""
    found = {}
    for name, row in re.findall(
        r'<details class="claim" id="claim-(\w+)">(.*?)</details>', html, re.DOTALL
    ):
        summary, _, inside = row.partition("</summary>")
        cell = {n: plain(c).split() for n, c in re.findall(r'data-name="(\w+)">(.*?)</dd>', inside)}
        found[name] = {
            "paper": " ".join(cell["paper"]),
            "run": " ".join(cell["run"]),
            "said": plain(re.search(r'<p class="said">(.*?)</p>', inside, re.DOTALL)[1]).strip(),
            "verdict": re.findall(r'<span class="verdict \w+">([^<]*)</span>$', summary)[0],
            "shown": plain(re.search(r'<span class="ours">(.*?)</span>', summary)[1]),
            "figure": re.search(r'<a href="#(\w+)">', inside)[1],
            "parts": [plain(part) for part in re.findall(r"<li>(.*?)</li>", inside, re.DOTALL)],
            "inside": plain(inside),
        }
    return found


def wrong_claims(html, run):
    """Texts of the claims that are not what claims.csv and claims.json have."""
    found = claim_rows(html)
    wrong = []
    table = rows(run.out / "claims.csv")
    whole_table = {row["id"]: row for row in json.loads((run.out / "claims.json").read_text())}
    if [row["id"] for row in table] != list(found):
        return ["rows"]
    for row in table:
        shown = found[row["id"]]
        parts = whole_table[row["id"]]["parts"]
        single = f"seen in {row['hits']} of {row['runs']} single runs {row['one_run']}"
        texts = {
            "paper": row["paper"],
            "verdict": row["verdict"],
            "run": single if int(row["runs"]) else "–",
            "figure": report.FIGURE_OF.get(row["id"], "fig6"),
        }
        wrong += [(row["id"], name) for name in texts if shown[name] != texts[name]]
        reason = row["reason"]
        if reason and not shown["said"].startswith(reason[0].upper() + reason[1:]):
            wrong.append((row["id"], "reason"))
        if row["id"] == "S1":
            wrong += [] if row["ours"] in shown["inside"] else [("S1", "ours")]
        if len(parts) != len(shown["parts"]):
            wrong.append((row["id"], "parts"))
        for part, text in zip(parts, shown["parts"]):
            numbers = re.findall(r"[−+-]?[0-9.]+", text)
            if part["title"] not in text or part["verdict"] not in text:
                wrong.append((row["id"], part["title"]))
            for name in ("mean", "low", "high"):
                if part[name] is not None and formatted(part["scale"], part[name]) not in numbers:
                    wrong.append((row["id"], name))
        if parts:
            first = {n: "" if parts[0][m] is None else repr(parts[0][m])
                     for n, m in (("ours", "mean"), ("low", "low"), ("high", "high"))}  # fmt: skip
            wrong += [(row["id"], f"{n} of the table") for n in first if first[n] != row[n]]
    return wrong


def formatted(scale, value):
    """A number of a part as the page shows it."""
    if scale == "points":
        return f"{round(100 * value, 2) + 0.0:+.2f}"
    if scale.endswith("share"):
        return f"{100 * value:.0f}"
    return f"{value:{'.3f' if scale == 'level' else '.2f' if 'ratio' in scale else '+.3f'}}"


def test_table_of_claims_is_claims_csv(html, run):
    assert wrong_claims(html, run) == []
    assert len(claim_rows(html)) == 17


def test_a_number_typed_by_hand_is_noticed(html, run):
    (part,) = json.loads((run.out / "claims.json").read_text())[7]["parts"]
    assert part["title"] == "T1andT2"
    ours = formatted("level", part["mean"])
    start = html.index("<li>", html.index('id="claim-A1"'))
    forged = html[:start] + html[start:].replace(
        f'<b class="n">{ours}</b>', '<b class="n">0.999</b>', 1
    )
    assert wrong_claims(forged, run) == [("A1", "mean")]


def wrong_tiles(html, run):
    """Numbers and verdicts of the first screen that are not those of the claims below."""
    found = claim_rows(html)
    wrong = []
    for name, (members, shown) in TILES.items():
        tile = html[html.index(f'id="tile-{name}"') :]
        tile = tile[: tile.index("</section>")]
        if re.findall(r'<a href="#claim-(\w+)"', tile) != list(members):
            wrong.append((name, "claims"))
        counts = re.findall(r"<b>(\d+)</b> ([a-z ]+)</span>", tile)
        given = [found[member]["verdict"] for member in members]
        if {v: int(n) for n, v in counts} != {v: given.count(v) for v in given}:
            wrong.append((name, "counts"))
        for member, number in zip(shown, re.findall(r'<dd><b class="n">(.*?)</b>', tile)):
            if number not in found[member]["shown"]:
                wrong.append((name, member))
    return wrong


def test_tiles_are_the_claims(html, run):
    assert wrong_tiles(html, run) == []


@pytest.mark.parametrize(
    "old, new, name",
    [
        ("<b>7</b> undecided", "<b>6</b> undecided", "counts"),
        ('<a href="#claim-O5" class', '<a href="#claim-O4" class', "claims"),
    ],
)
def test_a_wrong_tile_is_noticed(html, run, old, new, name):
    assert html.count(old) == 1
    assert wrong_tiles(html.replace(old, new), run) == [("selection", name)]


def test_claims_csv_has_the_interval_that_decides(run):
    """Restated from the seeds' accuracies: a t interval at the level of the family's parts."""
    table = [statistics_of(run, seed) for seed in run.seeds]
    values = np.array([row["A.T1andT2h"] - row["A.T1andT2l"] for row in table])
    parts = sum(len(c.parts) for c in claims.CLAIMS if c.id in ("H", "O2", "R1"))
    low, high = stats.t.interval(1 - 0.05 / parts, len(table) - 1, values.mean(), stats.sem(values))
    (row,) = [row for row in rows(run.out / "claims.csv") if row["id"] == "H"]
    assert [float(row[n]) for n in ("ours", "low", "high")] == pytest.approx(
        [values.mean(), low, high]
    )


def test_what_the_report_says_of_a_claim(page, run):
    """Asked, found, how sure, and what one run could have shown: in words that stand in the page."""
    for verdict in verdicts_of(run):
        assert wording.sentence(verdict) in page.texts
        assert verdict.claim.statement in page.texts
    assert "Undecided: 3 of 50 seeds." in wording.sentence(verdicts_of(run)[-1])


def test_seeds_that_are_not_a_full_range_are_pointed_out(run, html):
    assert "Not a full range" not in html
    folder = Run(run.out)
    folder.seeds = [0, 1, 5]
    try:
        text = report.write_report(folder, verdicts_of(run)).read_text(encoding="utf-8")
    finally:
        (run.out / "report.html").write_text(html, encoding="utf-8")
    assert "seeds 0 to 5 without 2, 3, 4" in text


@pytest.fixture(scope="module")
def japanese(run):
    return Page(report.write_report(run, verdicts_of(run), None, "ja").read_text(encoding="utf-8"))


def left_in_english(page, run):
    """Texts of the Japanese page that are English: three words or more."""
    own = set(explorer.gather(run, 0)["words"]["word"]) | drawn_sentences(run)
    own |= {report.command(run), report.citation(run)}
    return [
        text
        for text in page.texts + page.drawn
        if text not in own and not re.search("[\u3040-\u30ff\u4e00-\u9fff]", text)
        and len(re.findall(r"\b[a-z]{2,}\b", text)) > 2
    ]  # fmt: skip


def test_japanese_page_is_japanese(japanese, run):
    assert ("html", {"lang": "ja"}) in japanese.tags
    assert left_in_english(japanese, run) == []
    assert outside(japanese) == [] and unlisted(japanese) == []
    assert (run.out / "report.ja.html").exists()


def test_a_text_left_in_english_is_noticed(page, japanese, run):
    assert len(left_in_english(page, run)) > 50
    japanese.texts.append("the words of the paper")
    assert left_in_english(japanese, run) == ["the words of the paper"]
    japanese.texts.pop()


def test_both_languages_have_the_same_structure_and_numbers(page, japanese):
    """The same elements with the same ids, and drawings with the same curves."""
    for name in ("id", "d", "href", "download"):
        found = [
            [(t, a[name]) for t, a in one.tags if name in a and not a[name].startswith("data:")]
            for one in (page, japanese)
        ]
        assert found[0] == found[1] and found[0], name


NUMBER = re.compile(r"[−-]?\d+(?:,\d{3})+|[−-]?\d+(?:\.\d+)*(?:e[-+]?\d+)?")


def fixed_text(run):
    """Text that is the same in every report: the page's own, and that of claims and readings."""
    parts = [re.sub(r"<[^>]*>", " ", text) for text, _ in TEXTS.values()]
    parts += [str(part) for row in Config.readings() for part in row]
    for claim in claims.CLAIMS + (claims.S1,):
        parts += [claim.id, claim.statement, claim.paper, claim.how]
        parts += [part.title for part in claim.parts]
    parts += list(VECTOR_TITLES.values())
    # Coverage and seeds that a verdict needs, as the page says them.
    parts += [f"{100 * (1 - inference.ALPHA):.0f} {judging.LEAST_SEEDS}"]
    parts.append(report.citation(run))
    return " ".join(parts)


def leaves(value):
    """All values inside of JSON."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def file_numbers(run):
    """Every number that the page may show, in the forms that it may have.

    The curves of the figures' CSVs are left out: none is shown as text, and
    their thousands of numbers would let any other pass.
    """
    values = []
    for name in ("claims.json", "config.json", "timing.json"):
        values += leaves(json.loads((run.out / name).read_text()))
    for place in (run.out / "claims.csv", run.out / "figures" / "table1.csv"):
        values += [cell for row in rows(place) for cell in row.values()]
    data = explorer.gather(run, 0)
    values += leaves([data[name] for name in ("seed", "top", "levels", "judged", "kept", "totals")])
    values += leaves([list(row) for row in report._extremes(data)] + [len(data["epochs"])])
    timing = json.loads((run.out / "timing.json").read_text())
    settings = run.settings["vectors"]
    derived = [timing["seconds"] / 60, timing["peak_memory_bytes"] / 1e6]
    derived += [timing["peak_together_bytes"] / 1e6]
    derived += [100 * settings[n] for n in ("known_words", "known_tokens")]
    derived += [len(run.settings["seeds"]), run.settings["versions"]["replicate"]]
    derived += [commit(), run.last_trained, 0.4 * run.settings["epochs"]]
    readings = report._readings(run, Words("en"))
    derived += [len(readings), sum(row["changed"] for row in readings)]
    derived += {row["panel"] for row in rows(run.out / "figures" / "fig5.csv")}
    judged = verdicts_of(run)
    forms = set(NUMBER.findall(" ".join(map(wording.sentence, judged))))
    for verdict in judged:
        for found in verdict.parts:
            texts = [wording.shown_number(found.part, found.mean)]
            for low, high in ((found.low, found.high), (found.other_low, found.other_high)):
                texts.append(wording.shown_range(found.part, low, high))
            forms |= set(NUMBER.findall(" ".join(texts)))
    for verdict in judged:
        given = [other.verdict for other in judged]
        derived += [given.count(verdict.verdict)]
    for tile in tiles(judged, Words("en"), report.COLOUR_OF):
        derived += [count["number"] for count in tile["counts"]]
    derived += [
        sum(report.FIGURE_OF.get(v.claim.id, "fig6") == figure for v in judged)
        for figure in report.FIGURES
    ]
    for value in values + derived:
        forms |= set(NUMBER.findall(str(value)))
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if math.isnan(number):
            continue
        forms |= {report.decimals(number, digits) for digits in (0, 1, 3)}
        forms.add(report.short(number))
        if number == int(number):
            forms |= {str(int(number)), report.grouped(int(number))}
    return forms


def drawn_sentences(run):
    """The texts of the sentences of Figs 3 and 4."""
    found = {}
    for name in ("fig3", "fig4"):
        for row in rows(run.out / "figures" / f"{name}.csv"):
            found.setdefault((name, row["sentence"]), {})[int(row["position"])] = row["word"]
    return {" ".join(words.values()) for words in found.values()}


def strays(page, run):
    """Numbers of the page's text that are in no file of the run and in no fixed text."""
    allowed = file_numbers(run) | set(NUMBER.findall(fixed_text(run)))
    words = set(explorer.gather(run, 0)["words"]["word"]) | drawn_sentences(run)
    return [
        (number, text)
        for text in page.texts
        if text not in words
        for number in NUMBER.findall(text)
        if number not in allowed
    ]


def test_every_number_is_in_a_file_of_the_run(page, run):
    assert strays(page, run) == []


@pytest.mark.parametrize("forged", ["0.735", "−0.444", "87,654"])
def test_a_number_from_nowhere_is_noticed(html, run, forged):
    assert [
        n
        for n, _ in strays(Page(html.replace('<h2 id="words">', f"<p>about {forged}</p><h2>")), run)
    ] == [forged]


def test_claims_beside_figures_are_those_of_the_table(html):
    found = claim_rows(html)
    beside = re.findall(
        r'<dt><a href="#claim-(\w+)">[^\n]*?class="verdict \w+">([^<]*)</span></dt>\n<dd><b class="n">(.*?)</b> '
        r'<span class="n">(?:\((.*?)\))?</span>',
        html,
        re.DOTALL,
    )
    # F5c needs more epochs than this run has.
    assert len(beside) == 16
    for name, verdict, ours, interval in beside:
        assert found[name]["verdict"].startswith(verdict)
        text = " ".join(found[name]["inside"].split())
        assert plain(ours) in text and interval in text


def test_table_1_is_its_csv(html, run):
    body = html[html.index('<table class="small">') :]
    shown = re.findall(
        r'<th scope="row">(\w+)</th><td class="n">(\d+)</td><td class="n">(\d+)</td>', body
    )
    assert shown == [tuple(row.values()) for row in rows(run.out / "figures" / "table1.csv")]


def test_time_and_memory_are_told(page):
    assert {"12.6 min", "171 MB", "Linux, 2 cores, @cpu"} <= set(page.texts)


def test_downloads_are_the_files(page, run):
    found = {a["download"]: a["href"] for _, a in page.tags if "download" in a}
    assert set(found) == {
        "claims.csv",
        "claims.json",
        "table1.csv",
        *(f"fig{n}.csv" for n in (3, 4, 5, 6)),
        "fig6-differences.csv",
        "forest.csv",
        "difference.csv",
    }
    for name, address in found.items():
        kind, _, data = address.partition(",")
        assert kind == f"data:{report.MEDIA_TYPES[Path(name).suffix]};charset=utf-8"
        place = run.out / name
        place = place if place.exists() else run.out / "figures" / name
        assert unquote_to_bytes(data) == place.read_bytes()


def test_figures_are_drawings_of_the_page(page, html, run):
    """Figs 3 to 6: as many panels as the files have, and no picture that cannot follow the theme."""
    assert not [t for t, _ in page.tags if t == "img"]
    labels = [a["aria-label"] for t, a in page.tags if t == "svg" and a.get("class") == "chart"]
    sentences = [
        label.partition(": ") for label in labels if label.startswith(("Fig. 3", "Fig. 4"))
    ]
    assert [name for name, *_ in sentences] == sorted(name for name, *_ in sentences)
    assert {text for *_, text in sentences} == drawn_sentences(run) and len(sentences) > 3
    # Three panels of Fig. 5 lie between.
    assert labels[len(sentences) + 3 :] == [
        "Accuracy on T3, mean of 3 seeds",
        "T1andT2h − T1andT2l",
        "T1andT2h − T1andT2ran",
        "T1andT2h − T1andT2",
    ]
    # Another corpus is not compared with the paper's levels.
    assert "paper 0.76" not in page.drawn


# --- what the page says of the run ----------------------------------------------------


@pytest.mark.parametrize(
    ("digest", "name", "told", "noted"),
    [
        (SUBSET, "googlenews-mr-subset.bin.gz", "GoogleNews subset, not the full file", True),
        (IMDB, "imdb.bin.gz", "IMDB word2vec, not GoogleNews", True),
        (FULL, "GoogleNews-vectors-negative300.bin.gz", "GoogleNews, full file", False),
        ("0" * 64, "other.vec", "other.vec", True),
        ("", "random", "random vectors", True),
    ],
)
def test_page_says_which_vectors(run, html, digest, name, told, noted):
    folder = Run(run.out)
    folder.settings["vectors"].update(sha256=digest, name=name)
    try:
        text = " ".join(
            Page(report.write_report(folder, verdicts_of(folder)).read_text(encoding="utf-8")).texts
        )
    finally:
        (run.out / "report.html").write_text(html, encoding="utf-8")
    assert told in text
    assert ("Not made with the paper's word vectors." in text) == noted


def test_page_says_how_to_repeat_and_cite_it(html, page, run, monkeypatch):
    """Version, commit and day, as the package and the log know them; the title is CITATION.cff's."""
    cff = (Path(report.__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8")
    assert f'title: "{report.TITLE}"' in cff and f'name: "{report.AUTHORS}"' in cff
    digest = "0123456789abcdef" * 2 + "01234567"
    monkeypatch.setitem(run.settings["versions"], "commit", digest)
    monkeypatch.setattr(report, "commit", lambda: "f" * 40)  # today's, which did not make it
    log = run.out / "run.log"
    log.write_text(
        "2026-01-02 10:00:00,000 INFO command: run\n2026-01-03 10:00:00,000 INFO seed 0, T1: done\n"
        "2026-01-04 10:00:00,000 INFO seed 2, T1andT2: done\n2026-02-01 10:00:00,000 INFO command: report\n",
        encoding="utf-8",
    )
    try:
        text = report.write_report(run, verdicts_of(run)).read_text(encoding="utf-8")
        known = Page(text).texts
        monkeypatch.delitem(run.settings["versions"], "commit")
        older = report.write_report(run, verdicts_of(run)).read_text(encoding="utf-8")
        assert "f" * 40 in Page(older).texts and "f" * 40 not in known
        monkeypatch.setattr(report, "commit", lambda: "")
        log.write_text("", encoding="utf-8")
        unknown = Page(report.write_report(run, verdicts_of(run)).read_text(encoding="utf-8")).texts
    finally:
        log.unlink()
        (run.out / "report.html").write_text(html, encoding="utf-8")
    assert {"2026-01-04", digest} <= set(known)
    assert any("year = {2026}" in t for t in known if "@software" in t)
    assert any("note = {commit 0123456789ab}" in t for t in known)
    assert not [t for t in unknown if "commit" in t or "2026" in t]
    version = run.settings["versions"]["replicate"]
    for texts in (known, unknown):
        assert f"replicate {version}" in texts and any(
            f"version = {{{version}}}" in t for t in texts
        )


def test_answers_are_shown_where_the_folder_has_them(run, html):
    results = Path(report.__file__).parents[2] / "results"
    assert 'id="answers"' not in html
    try:
        shutil.copytree(
            results / "calibrated-googlenews-31530" / "questions", run.out / "questions"
        )
        shutil.copytree(results / "five-filters-googlenews-31530" / "choice", run.out / "choice")
        page = Page(report.write_report(run, verdicts_of(run)).read_text(encoding="utf-8"))
    finally:
        for name in ("questions", "choice"):
            shutil.rmtree(run.out / name, ignore_errors=True)
        (run.out / "report.html").write_text(html, encoding="utf-8")
    assert "Q3: rank correlation of wac with frequency in T1" in page.texts
    downloads = {a["download"] for _, a in page.tags if "download" in a}
    assert {"questions.csv", "rivals.csv", "choice.csv"} <= downloads


def test_same_results_same_bytes(run, html):
    assert report.write_report(run, verdicts_of(run)).read_text(encoding="utf-8") == html


def test_without_a_finished_seed(tmp_path):
    lines = [f"{i % 2}\tfilm number {i}" for i in range(40)]
    (tmp_path / "c.tsv").write_text("label\ttext\n" + "\n".join(lines) + "\n")
    run = prepare(
        tmp_path / "run",
        Config(epochs=3),
        Options(),
        [0],
        [tmp_path / "c.tsv"],
        "random",
        dimensions=4,
    )
    page = Page(conclude(run).read_text(encoding="utf-8"))
    assert [tag for tag, a, _ in page.raw if "type" not in a] == ["style", "script"]
    assert unlisted(page) == []
    text = " ".join(page.texts)
    assert "0 finished seeds" in text and text.count("Not drawn: no seed is finished yet.") == 4
    assert outside(page) == [] and "Time and memory were not recorded." in text


@pytest.mark.slow
def test_streaming_run_says_what_it_cannot_show(tmp_path):
    run = odd_run(tmp_path, options=Options(stored=False, epoch_weights="none"))
    text = " ".join(Page(conclude(run).read_text(encoding="utf-8")).texts)
    assert "curves over epochs are not available" in text
    assert "only the last epoch can be shown" in text
    assert text.count("which this run did not store") == 2
    assert "--streaming --epoch-weights none" in text
    (tmp_path / "weights").mkdir()
    run = odd_run(tmp_path / "weights", options=Options(stored=False))
    text = " ".join(Page(conclude(run).read_text(encoding="utf-8")).texts)
    assert "computed again from the stored weights of every epoch" in text


def test_large_files_are_named_not_held(run, html, monkeypatch):
    monkeypatch.setattr(report, "EMBEDDED_BYTES", 1000)
    try:
        page = Page(report.write_report(run, verdicts_of(run)).read_text(encoding="utf-8"))
    finally:
        (run.out / "report.html").write_text(html, encoding="utf-8")
    assert {a["download"] for _, a in page.tags if "download" in a} == {
        "table1.csv",
        "difference.csv",
    }
    assert "fig3.csv (too large for this page; see the folder of the run)" in page.texts


def test_page_stays_small(html):
    """All but explorer data, figures and tables: D3 and text."""
    data = html.index('<script type="application/json" id="explorer-data"')
    fixed = len(html.encode()) - sum(len(m) for m in re.findall(r'"data:[^"]*"', html))
    fixed -= len(html[data : html.index("</script>", data)].encode())
    fixed -= sum(
        len(m.encode())
        for m in re.findall(
            r'<div class="panel">.*?</div>|<svg class="interval".*?</svg>', html, re.DOTALL
        )
    )
    assert fixed < 450_000  # 30 kB of it are the explorer's choice and its texts


# --- the command ------------------------------------------------------------------------


def parsed(command):
    """Settings and options that the command line would run with."""
    words = shlex.split(command)
    assert words[:2] == ["replicate", "run"]
    context = cli.cli.commands["run"].make_context("run", words[2:])
    given = context.params
    config = config_of(given["preset"], given["epochs"], given["assignments"])
    return config, given


@pytest.mark.parametrize(
    ("settings", "options", "seeds"),
    [
        ({}, Options(), [0, 1, 2]),
        ({"n_filters": 7, "record_epoch_0": True, "standardised_over": "T1"}, Options(), [3]),
        (
            {"epochs": 9, "dropout": 0.5, "optimizer": "SGD"},
            Options(stored=False, epoch_weights="all"),
            [0, 4],
        ),
        ({}, Options(implementation="reference", record_arms=True), [0]),
    ],
)
def test_command_repeats_the_run(tmp_path, settings, options, seeds):
    (tmp_path / "c.tsv").write_text(
        "label\ttext\n" + "".join(f"{i % 2}\tfilm {i}\n" for i in range(40))
    )
    config = PRESETS["paper"].replace(**settings)
    run = prepare(
        tmp_path / "run", config, options, seeds, [tmp_path / "c.tsv"], "random", dimensions=4
    )
    found, given = parsed(report.command(run))
    assert found == config and given["seeds"] == seeds and given["dimensions"] == 4
    assert given["vectors"] == "random" and given["streaming"] == (not options.stored)
    assert given["epoch_weights"] == options.epoch_weights
    assert (
        given["implementation"] == options.implementation
        and given["record_arms"] == options.record_arms
    )


def test_command_names_the_files_of_the_corpus(tmp_path):
    for name, word in (("rt-polarity.pos", "good"), ("rt-polarity.neg", "bad")):
        (tmp_path / name).write_text("".join(f"{word} film {i % 5}\n" for i in range(40)))
    run = prepare(
        tmp_path / "run", PRESETS["paper"], Options(), [0], [tmp_path], "random", dimensions=4
    )
    assert parsed(report.command(run))[1]["corpus"] == ("rt-polarity.pos", "rt-polarity.neg")
    # A published corpus is named: it is found wherever it lies, with all its parts.
    run.settings["corpus"]["sha256"] = {f.name: f.sha256 for f in PUBLISHED["sst2"].files}
    assert parsed(report.command(run))[1]["corpus"] == ("sst2",)


@pytest.mark.parametrize("changed", [{}, {"epochs": 7}, {"n_filters": 5, "tokens": "whitespace"}])
def test_command_of_the_sample_needs_no_file(tmp_path, changed):
    """It can be given as it stands, and settings of the sample's preset are not listed."""
    sample, vectors = sample_path()
    config = PRESETS["sample"].replace(**changed)
    run = prepare(tmp_path / "run", config, Options(), [0, 1], [sample], vectors, "sample")
    command = report.command(run)
    found, given = parsed(command)
    assert found == config and given["seeds"] == [0, 1]
    assert data_of(given["preset"], given["corpus"], given["vectors"]) == ([sample], vectors)
    assert command.count("--") == 3 + len(changed)
    other = prepare(tmp_path / "other", config, Options(), [0], [sample], "random", dimensions=4)
    assert parsed(report.command(other))[1]["vectors"] == "random"


def test_epochs_that_are_not_the_papers_are_told(run, html):
    """Claims name epochs of 50; those of a shorter run are shares of it."""
    scaled = "this run has 6, so these ranges of epochs are scaled"
    assert scaled in html
    folder = Run(run.out)
    folder.settings["epochs"] = 50
    try:
        text = report.write_report(folder, verdicts_of(folder)).read_text(encoding="utf-8")
    finally:
        (run.out / "report.html").write_text(html, encoding="utf-8")
    assert "ranges of epochs are scaled" not in text


def test_command_quotes_odd_names(run):
    folder = Run(run.out)
    folder.settings["vectors"].update(name="my 'vectors'; rm x.bin")
    assert parsed(report.command(folder))[1]["vectors"] == "my 'vectors'; rm x.bin"
