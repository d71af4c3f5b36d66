"""The report in a browser: headless Chromium opens it from disk and uses it.

Selenium drives Chromium (Debian's chromium and chromium-driver).  The rules of
accessibility are those of axe-core 4.14.1 (``tests/axe``, MPL 2.0).
"""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from odd_corpus import LABELS, ODD_WORDS, conclude, odd_run, saliency_of, sentence_words, unpacked
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from test_outcome import EFFECTS, given

from replicate.experiment import verdicts_of
from replicate.run import Options, Run
from replicate.show import explain, explorer, report
from replicate.show.outcome import outcome
from replicate.show.strings import Words

RESULTS = Path(__file__).resolve().parents[1] / "results"
QUESTIONS = RESULTS / "calibrated-googlenews-31530" / "questions"
CHOICE = RESULTS / "five-filters-googlenews-31530" / "choice"
AXE = Path(__file__).with_name("axe") / "axe.min.js"
WIDTHS = (390, 1440)
LANGUAGES = ("en", "ja")
THEMES = ("light", "dark")
pytestmark = pytest.mark.slow


class Browser(webdriver.Chrome):
    """Selenium's driver of Chromium, and what these tests do with a page."""

    def open(self, place, width=1440, theme="light", media=""):
        """Open a file of this disk in a window of some width and a theme."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        # Smooth scrolling would move what is about to be clicked.
        self.prefer({"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}, media)
        self.get(Path(place).as_uri())

    def get(self, url):
        """Go to another document, and wait until all of it is read.

        On a busy machine the driver's own waiting ends early where a page is loaded again.
        """
        self.execute_script("window.left = true")
        super().get(url)
        read = "return !window.left && document.readyState === 'complete'"
        WebDriverWait(self, 30, 0.02).until(lambda b: b.execute_script(read))

    def prefer(self, features, media=""):
        """Set media features of the page, and the medium: ``print``, or the screen."""
        named = [{"name": name, "value": value} for name, value in features.items()]
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": named})

    def type(self, selector, keys):
        """Real key presses, one after another."""
        self.find_element(By.CSS_SELECTOR, selector).send_keys(keys)

    def click(self, selector):
        self.find_element(By.CSS_SELECTOR, selector).click()

    def reach(self, selector):
        """Click what may lie under the controls that stay in the window: to its middle first."""
        self.execute_script(
            "document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector
        )
        self.click(selector)

    def every(self, selector, what):
        """An expression in `e` of every element that a selector finds."""
        script = f"return [...document.querySelectorAll(arguments[0])].map(e => {what})"
        return self.execute_script(script, selector)

    def texts(self, selector):
        return self.every(selector, "e.textContent")

    def titles(self, selector):
        """Numbers in the titles of elements."""
        return [float(title) for title in self.every(selector, "e.title")]

    def enter(self, selector, value):
        """Set a control's value at once, and notify the page."""
        self.execute_script(
            "const control = document.querySelector(arguments[0]); control.value = arguments[1];"
            "control.dispatchEvent(new Event('input', {bubbles: true}))",
            selector,
            value,
        )


@pytest.fixture(scope="module")
def browser(missing):
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    chromium = next(filter(None, found), None)
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        missing(
            "browser",
            "no Chromium with its driver: install Debian's chromium and chromium-driver",
        )
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    # The sandbox needs another user than root; the rest asks nothing of any network.
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-quic",
        "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "localhost,127.0.0.1")  # the driver listens on this machine
        made = Browser(options, webdriver.ChromeService(driver))
    with made:
        yield made


@pytest.fixture(scope="module")
def run(reported_run):
    return reported_run


@pytest.fixture(scope="module")
def place(run):
    return run.out / "report.html"


@pytest.fixture(scope="module")
def places(run, tmp_path_factory):
    """The report in each language: language -> file."""
    made = Run(shutil.copytree(run.out, tmp_path_factory.mktemp("languages") / "run"))
    verdicts = verdicts_of(made)
    # Answers that the run itself does not have.
    for name, source in (("questions", QUESTIONS), ("choice", CHOICE)):
        shutil.copytree(source, made.out / name)
    return {name: report.write_report(made, verdicts, None, name) for name in LANGUAGES}


@pytest.fixture(scope="module")
def data(run):
    return explorer.gather(run, 0)


@pytest.fixture
def page(browser, place):
    """The report, just opened, with its heat maps drawn: a slow machine draws them later."""
    browser.get_log("browser"), browser.get_log("performance")
    browser.open(place)
    WebDriverWait(browser, 20, 0.05).until(lambda page: page.texts(".heat span"))
    return browser


def variant(place, tmp_path, old, new):
    """A copy of the page with a piece exchanged."""
    html = place.read_text(encoding="utf-8")
    assert html.count(old) >= 1
    copy = tmp_path / "report.html"
    copy.write_text(html.replace(old, new, 1), encoding="utf-8")
    return copy


# --- alone with itself ------------------------------------------------------------


def requested(browser):
    """Addresses of all requests since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        m["params"]["request"]["url"]
        for m in messages
        if m["method"] == "Network.requestWillBeSent"
    ]


def test_opens_from_disk_without_error_or_request(page, place):
    assert page.get_log("browser") == []
    addresses = requested(page)
    assert addresses.count(place.as_uri()) == 1
    assert [a for a in addresses if a != place.as_uri() and not a.startswith("data:image/")] == []
    page.type("#query", "film")
    page.click("#play")
    page.execute_script("document.querySelector('#after').click()")
    assert page.get_log("browser") == [] and requested(page) == []


@pytest.mark.parametrize(
    "added",
    [
        '<img src="https://example.invalid/x.png">',
        "<script>document.title = 'changed'</script>",
        '<p style="color: red">',
        "<img src=data:, onerror=\"document.title = 'changed'\">",
        '<link rel="stylesheet" href="https://example.invalid/x.css">',
        '<form action="https://example.invalid/" id="f"></form><iframe src="https://example.invalid/"></iframe>',
    ],
)
def test_policy_stops_what_was_added(browser, place, tmp_path, added):
    browser.get_log("browser")
    browser.open(variant(place, tmp_path, "<main>", "<main>" + added))

    def stopped(browser):
        return any("Content Security Policy" in e["message"] for e in browser.get_log("browser"))

    # The console gets the message of an event's handler some time after the page is open.
    WebDriverWait(browser, 20, 0.05).until(stopped)
    assert browser.execute_script("return document.title") != "changed"


def test_text_of_the_corpus_is_text(page, data):
    for word in ODD_WORDS:
        page.enter("#query", word)
        assert page.texts("#word-table tbody button")[0] == word
        assert page.texts("#word-name") == [word]
        assert page.texts("#texts li:not(.none)"), word
        assert set(page.texts("#texts mark")) == {word}
    assert page.execute_script("return window.planted") is None
    # The claims have bold words of their own, and none of the corpus.
    others = "main section:not([aria-labelledby=claims])"
    assert page.texts(f"{others} b:not(.n), {others} i:not(.key), main script") == []
    # Figs 3 to 6, whose names of words are text too.
    assert page.texts("main img") == [] and len(page.texts("main svg.chart")) > 9
    # Sentences stand word by word as they are in the corpus, in either direction of writing.
    kept = data["maps"]["sentence"]
    shown = page.texts("#right .heat")
    assert shown == [" ".join(sentence_words(data, s)) for s in kept[: len(shown)]]
    facts = " ".join(page.texts("#sentence-facts, #right .meta, #wrong .meta"))
    assert all(label in facts for label in LABELS)
    assert page.get_log("browser") == []


# --- the table of words ---------------------------------------------------------------


def column(browser, number):
    return browser.texts(f"#word-table tbody td:nth-child({number})")


def test_table_sorts(page, data):
    words = data["words"]
    rows = min(16, len(words["word"]))
    assert column(page, 1) == [str(n) for n in range(1, rows + 1)]
    page.click('#word-table th[data-sort="count"] button')
    counts = [int(n) for n in column(page, 4)]
    assert counts == sorted(words["count"], reverse=True)[:rows]
    order = ("#word-table th[aria-sort]", "[e.dataset.sort, e.getAttribute('aria-sort')]")
    assert page.every(*order) == [["count", "descending"]]
    page.click('#word-table th[data-sort="count"] button')
    assert [int(n) for n in column(page, 4)] == sorted(words["count"])[:rows]
    assert page.every(*order) == [["count", "ascending"]]
    page.click('#word-table th[data-sort="wac"] button')
    assert column(page, 3) == [report.short(w) for w in sorted(words["wac"], reverse=True)[:rows]]
    page.click('#word-table th[data-sort="word"] button')
    assert page.every(*order) == [["word", "ascending"]]
    first = column(page, 2)
    page.click('#word-table th[data-sort="word"] button')
    assert set(column(page, 2)).isdisjoint(first)


def test_pages_of_the_table_hold_all_words(page, data):
    seen = column(page, 2)
    while page.every("#after", "e.disabled") == [False]:
        page.click("#after")
        seen += column(page, 2)
    assert seen == data["words"]["word"]
    page.click("#before")
    assert column(page, 2) == seen[-(len(seen) % 16 or 16) - 16 :][:16]


def test_search_finds_a_word(page, run, data):
    page.type("#query", "Word1")
    expected = [w for w in data["words"]["word"] if "word1" in w]
    assert len(expected) > 3
    shown = column(page, 2)
    assert (
        shown[0] == "word1"
        and sorted(shown) == sorted(expected)[: len(shown)]
        or len(expected) > 16
    )
    assert page.texts("#found") == [f"{len(expected)} words"]
    assert page.texts("#word-name") == ["word1"]
    with open(run.seed_folder(0) / "instability.csv", newline="", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["word"] == "word1")
    facts = page.texts("#word-facts")[0]
    assert (
        f"{row['count']} times in T1" in facts and f"wac {report.short(float(row['wac']))}" in facts
    )
    # What the chart says at the last epoch is the mean that was recorded.
    t1 = np.flatnonzero(run.subset(0) == 1)
    tokens, _ = run.corpus.take(t1)
    saliency = np.load(run.folder(0, "T1") / "saliency.npy", allow_pickle=False)
    exact = saliency[-1, tokens == run.corpus.words.tolist().index("word1")].mean()
    said = re.search(r"Epoch 6: mean ([\d.]+)", page.texts("#readout")[0])[1]
    assert float(said) == pytest.approx(exact, abs=2e-4)


def test_search_for_what_is_not_there(page):
    before = page.texts("#word-name")
    page.type("#query", "no such word" + Keys.ENTER)
    assert column(page, 2) == [] and page.texts("#found") == ["No word of T1 matches."]
    assert page.texts("#word-name") == before and page.get_log("browser") == []


def test_enter_chooses_the_first_word(page):
    page.type("#query", "wor" + Keys.ENTER)
    assert page.texts("#word-name") == [column(page, 2)[0]]


def test_filters(page, data):
    page.enter("#least", "")
    least = sorted(data["words"]["count"])[-5]
    page.type("#least", str(least))
    assert page.texts("#found") == [f"{sum(c >= least for c in data['words']['count'])} words"]
    assert all(int(n) >= least for n in column(page, 4))
    page.enter("#least", 1)
    page.enter("#kind", "known")
    assert page.texts("#found") == ["No word of T1 matches."]  # random vectors: none is known


def test_a_click_on_a_word_chooses_it(page):
    wanted = column(page, 2)[3]
    page.click("#word-table tbody tr:nth-child(4) button")
    assert page.texts("#word-name") == [wanted]
    assert page.texts("#word-table tr[aria-current] bdi") == [wanted]
    assert wanted in page.every("#chart svg", "e.getAttribute('aria-label')")[0]


# --- sentences ---------------------------------------------------------------------------


def colours(browser):
    """Grounds of the words of the sentences that are shown side by side."""
    return browser.every(".cards-list .heat span", "e.style.backgroundColor")


def recorded(data, epoch, n):
    """Saliency at an epoch of the first n words of the heat maps."""
    values = saliency_of(data, data["maps"]["saliency"])
    found, at = [], 0
    for s in data["maps"]["sentence"]:
        length, epochs = data["sentences"]["length"][s], len(data["maps"]["epochs"])
        found += values[at : at + length * epochs].reshape(epochs, length)[epoch].tolist()
        at += length * epochs
        if len(found) >= n:
            return found[:n]


RIGHT = "#right .heat span"


def near(values):
    """The page tells saliency with four decimals."""
    return pytest.approx(values, abs=6e-5)


def test_slider_changes_the_colours(page, data):
    last = colours(page)
    n = len(page.titles(RIGHT))
    assert page.titles(RIGHT) == near(recorded(data, -1, n))
    page.type("#epoch", Keys.HOME)
    assert page.texts("#epoch-shown") == ["1"]
    first = colours(page)
    assert len(first) == len(last) and first != last
    assert page.titles(RIGHT) == near(recorded(data, 0, n))
    page.type("#epoch", Keys.ARROW_RIGHT)
    assert page.texts("#epoch-shown") == ["2"] and colours(page) != first
    assert page.every(".word input.epoch", "e.value") == ["1"]
    assert page.texts("#readout")[0].startswith("Epoch 2:")


def probabilities(texts):
    """The numbers after the labels: p of the label that the model gives."""
    return [float(re.search(r" · p (?:> )?([\d.]+)$", text)[1]) for text in texts]


def test_p_is_that_of_the_models_own_label(page, data):
    """One less the uncertainty: at the chosen epoch, and in the final model of every arm."""
    maps, arms, n = data["maps"], data["arms"], len(data["maps"]["sentence"])
    by_epoch = 1 - unpacked(maps["uncertainty"]).reshape(n, -1) / data["levels"]
    by_arm = 1 - unpacked(arms["uncertainty"]).reshape(-1, n) / data["levels"]
    assert by_epoch.min() < 0.9 and by_arm.min() < 0.9
    correct = data["kept"]["correct"]
    places = [0, 1, 2, correct, correct + 1, correct + 2]
    for key, epoch in ((Keys.END, -1), (Keys.HOME, 0)):
        page.type("#epoch", key)
        shown = probabilities(page.texts("#right .meta") + page.texts("#wrong .meta"))
        assert shown == pytest.approx(by_epoch[places, epoch], abs=0.0051)
    shown = probabilities(page.texts("#arms dt"))
    assert shown == pytest.approx(by_arm[:, correct], abs=0.0051)


def test_play_goes_through_the_epochs_and_stops(page):
    page.click("#play")
    assert page.texts("#play") == ["Pause"]
    reached = page.execute_script(
        "const seen = new Set(); const end = Date.now() + 20000;"
        "return new Promise(done => { const look = () => {"
        " seen.add(document.querySelector('#epoch-shown').textContent);"
        " const over = document.querySelector('#play').textContent === 'Play';"
        " if (over || Date.now() > end) done([...seen]); else requestAnimationFrame(look);"
        "}; look(); })"
    )
    assert reached == ["1", "2", "3", "4", "5", "6"] and page.texts("#play") == ["Play"]


def test_one_scale_for_all(page, data):
    """Equal saliency has equal colour, and a greater one is never nearer to the ground."""
    pairs = page.every("#heatmaps .heat span", "[Number(e.title), e.style.backgroundColor]")
    light = {}
    for value, colour in pairs:
        if colour:
            light.setdefault(value, []).append(sum(int(n) for n in re.findall(r"\d+", colour)[:3]))
        else:
            assert value < 5e-5
    order = sorted(light)
    assert len(order) > 20
    # Values are told with four digits: colours of one told value may differ by that rounding.
    for low, high in zip(order, order[3:]):
        assert max(light[high]) <= min(light[low]) + 3


def test_other_sentences(page, data):
    first = page.texts("#right .heat") + page.texts("#wrong .heat")
    page.click("#more")
    second = page.texts("#right .heat") + page.texts("#wrong .heat")
    assert len(first) == 6 and not set(first) & set(second)
    page.click("#fewer")
    assert page.texts("#right .heat") + page.texts("#wrong .heat") == first


def test_one_sentence_in_every_epoch_and_model(page, data):
    page.click("#right li:nth-child(2) button")
    words = sentence_words(data, data["maps"]["sentence"][1])
    assert page.texts("#arms .heat") == [" ".join(words)] * 7
    assert [t.split()[0] for t in page.texts("#arms dt")] == data["arms"]["arm"]
    values = saliency_of(data, data["arms"]["saliency"]).reshape(7, -1)
    start = data["sentences"]["length"][data["maps"]["sentence"][0]]
    shown = page.titles("#arms div:nth-child(4) .heat span")
    assert shown == near(values[3, start : start + len(words)])
    # As many coloured cells as there are saliencies above nothing.
    cells = len(page.texts("#raster rect:not(.now)"))
    n = data["sentences"]["length"][data["maps"]["sentence"][0]] * 6
    every = saliency_of(data, data["maps"]["saliency"])[n : n + 6 * len(words)]
    assert cells == int((every > 0).sum()) > 0


def test_the_frame_of_the_epoch_moves_to_the_chosen_sentence(page):
    """It stood left of the words until the epoch changed."""
    page.type("#epoch", Keys.HOME)
    page.click("#right li:nth-child(2) button")
    at = page.every("#raster .now", "Number(e.getAttribute('x'))")[0]
    first = page.every("#raster rect:not(.now)", "Number(e.getAttribute('x'))")
    assert at == pytest.approx(min(first), abs=0.5) and at > 0


# --- the first screen, claims and figures ------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_first_screen_has_outcome_drawing_and_tiles(browser, places, language):
    """At 1440 by 900, also with the longest sentence that verdicts can make."""
    browser.open(places[language], 1440)
    longest = max(
        (
            outcome(given(F5=a, H=b, O2=c), Words(language))
            for a in EFFECTS for b in EFFECTS for c in EFFECTS
        ),
        key=len,
    )  # fmt: skip
    browser.execute_script("document.getElementById('outcome').textContent = arguments[0]", longest)
    for part in ("#outcome", ".experiment", ".tiles"):
        top, bottom = browser.every(
            part, "[e.getBoundingClientRect().top, e.getBoundingClientRect().bottom]"
        )[0]
        assert 0 <= top < bottom <= 900, part


def test_a_first_screen_that_is_too_long_would_be_noticed(browser, places):
    """Twin."""
    browser.open(places["en"], 1440)
    browser.execute_script("document.getElementById('outcome').style.height = '500px'")
    assert browser.every(".tiles", "e.getBoundingClientRect().bottom")[0] > 900


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_labels_of_the_figures_can_be_read(browser, places, width, language):
    """Letters of 9 pixels or more, inside of their drawing."""
    browser.open(places[language], width)
    found = browser.execute_script(
        """return [...document.querySelectorAll(".chart")].flatMap(chart => {
             const frame = chart.getBoundingClientRect(), scale = frame.width / 360;
             return [...chart.querySelectorAll("text")].map(text => {
               const box = text.getBoundingClientRect();
               return [text.textContent, scale * parseFloat(getComputedStyle(text).fontSize),
                       box.left - frame.left, frame.right - box.right];
             });
           })"""
    )
    assert len(found) > 100
    assert [one for one in found if one[1] < 9] == []
    # A word may be wider than was estimated, by part of a letter.
    assert [one for one in found if min(one[2], one[3]) < -4] == []


def test_figures_follow_the_theme(browser, place):
    """Ink and lines are other colours in the dark, and stand out from the ground in both."""
    seen = []
    for theme in THEMES:
        browser.open(place, theme=theme)
        seen.append(
            [browser.every(part, f"getComputedStyle(e).{what}")[0]
             for part, what in ((".chart text", "fill"), (".chart .line", "stroke"),
                                (".interval .ours", "fill"))]
        )  # fmt: skip
    assert all(light != dark for light, dark in zip(*seen))


def test_a_link_opens_the_claim_that_it_leads_to(browser, place):
    browser.open(place)
    opened = "[...document.querySelectorAll('details.claim[open]')].map(e => e.id)"
    assert browser.execute_script(f"return {opened}") == []
    browser.click('.members a[href="#claim-O2"]')
    WebDriverWait(browser, 5, 0.05).until(
        lambda b: b.execute_script(f"return {opened}") == ["claim-O2"]
    )
    browser.get(f"{place.as_uri()}?again#claim-F4")
    assert browser.execute_script(f"return {opened}") == ["claim-F4"]


@pytest.mark.parametrize("which, text", [("command", "replicate run"), ("citation", "@software")])
def test_copy_button_copies(browser, place, which, text):
    browser.execute_cdp_cmd(
        "Browser.setPermission",
        {
            "permission": {"name": "clipboard-write", "allowWithoutSanitization": True},
            "setting": "granted",
        },
    )
    browser.open(place)
    browser.execute_script(
        "navigator.clipboard.writeText = async (text) => { window.copied = text; }"
    )
    browser.click(f'[data-copy="{which}"]')
    WebDriverWait(browser, 5, 0.05).until(lambda b: b.texts(f'[data-copy="{which}"]') == ["Copied"])
    copied = browser.execute_script("return window.copied")
    assert copied.startswith(text) and copied == browser.texts(f"#{which}")[0]


def test_copy_button_selects_where_copying_is_not_allowed(browser, place):
    browser.open(place)
    browser.execute_script(
        "navigator.clipboard.writeText = async () => { throw new Error('refused'); }"
    )
    browser.click('[data-copy="command"]')
    WebDriverWait(browser, 5, 0.05).until(
        lambda b: b.execute_script("return String(getSelection())") == b.texts("#command")[0]
    )


def test_explorer_speaks_japanese(browser, places):
    """All texts that the scripts write."""
    browser.get_log("browser")
    browser.open(places["ja"])
    WebDriverWait(browser, 20, 0.05).until(lambda page: page.texts(".heat span"))
    browser.type("#query", "film")
    assert "語" in browser.texts("#found")[0] and "回" in browser.texts("#word-facts")[0]
    assert browser.texts("#word-table th")[0] == "順位"
    browser.click("#right li:nth-child(1) button")
    assert "コーパス" in browser.texts("#sentence-facts")[0]
    assert all("モデル" in text for text in browser.texts("#arms dt"))
    assert browser.get_log("browser") == []


def cells(browser):
    """x of the frame of the epoch, and of the columns of the sentence's heat map."""
    frame = browser.every("#raster .now", "e.getAttribute('x')")
    columns = browser.every("#raster rect:not(.now)", "Number(e.getAttribute('x'))")
    return frame[0], sorted(set(columns))


def test_the_frame_of_the_epoch_is_at_its_epoch_in_every_sentence(page):
    """It stood at the left edge after another sentence's button."""
    page.type("#epoch", Keys.HOME + Keys.ARROW_RIGHT * 3)
    for card in ("#right li:nth-child(2)", "#wrong li:nth-child(3)", "#right li:nth-child(1)"):
        page.reach(f"{card} button")
        frame, columns = cells(page)
        assert len(columns) == 6 and float(frame) == columns[3]
    page.type("#epoch", Keys.END)
    assert float(cells(page)[0]) == columns[5]


# --- scales and marks --------------------------------------------------------------------


def maps_of(run, data):
    """Recorded saliency (E, words) and 1 - p (E,) of every sentence with a heat map."""
    t1 = np.flatnonzero(run.subset(0) == 1)
    _, offsets = run.corpus.take(t1)
    folder = run.folder(0, "T1")
    saliency = np.load(folder / "saliency.npy", allow_pickle=False).astype(np.float64)
    uncertainty = np.load(folder / "doubt.npy", allow_pickle=False).astype(np.float64)
    numbers = [data["sentences"]["number"][s] for s in data["maps"]["sentence"]]
    places = [int(np.searchsorted(t1, n)) for n in numbers]
    return [(saliency[:, offsets[p] : offsets[p + 1]], uncertainty[:, p]) for p in places]


def test_scales_of_the_heat_maps(page, run, data):
    page.type("#epoch", Keys.HOME + Keys.ARROW_RIGHT)
    recorded = maps_of(run, data)[:3]
    raw = colours(page)
    for scale, naive in (
        ("standardised", lambda wa, u: (wa - wa.mean()) / wa.std()),
        ("logit", lambda wa, u: wa / u),
        ("raw", lambda wa, u: wa),
    ):
        page.click(f"input[value={scale}]")
        exact = np.concatenate([naive(wa[1], u[1]) for wa, u in recorded])
        assert page.titles(RIGHT) == pytest.approx(exact, rel=0.01, abs=0.002)
        assert (colours(page) == raw) == (scale == "raw")
        shown = page.texts("#scale-says")[0]
        assert {"standardised": "Figs 3 and 4", "logit": "1 − p", "raw": "wac, A_S"}[scale] in shown


def test_words_that_no_filter_chose_are_marked(page, run, data):
    recorded = maps_of(run, data)
    page.type("#epoch", Keys.HOME)
    marked = page.every(RIGHT, "e.classList.contains('unchosen')")
    exact = np.concatenate([wa[0] == 0 for wa, _ in recorded[:3]])
    assert marked == exact.tolist() and 0 < exact.sum() < len(exact)
    page.click("#right li:nth-child(2) button")
    assert len(page.texts("#raster circle.unchosen")) == int((recorded[1][0] == 0).sum())


# --- the choice among T2 -----------------------------------------------------------------


def chosen(run, seed):
    """(sentence, A_S, half) of T2 by sentences.csv, the highest A_S first."""
    with open(run.seed_folder(seed) / "sentences.csv", newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["subset"] == "2"]
    rows.sort(key=lambda r: (-float(r["instability"]), int(r["sentence"])))
    return [(int(r["sentence"]), float(r["instability"]), r["arm"]) for r in rows]


def listed(browser):
    return browser.every("#choice-list li", "Number(e.dataset.sentence)")


def test_sentences_of_T2_with_score_half_and_seeds(page, run):
    rows = chosen(run, 0)
    halves = [{n: half for n, _, half in chosen(run, seed)} for seed in (0, 1, 2)]
    seen = []
    while True:
        for number, meta in zip(listed(page), page.texts("#choice-list .meta")):
            _, score, half = rows[len(seen)]
            shown = re.match(r"T2([hl]) · A_S (\S+) ", meta)
            assert shown[1] == half and float(shown[2]) == pytest.approx(score, rel=0.006)
            mine = [h[number] for h in halves if number in h]
            assert f"chosen in {mine.count('h')} of {len(mine)} seeds" in meta
            assert f"rank {len(seen) + 1} of {len(rows)}" in meta
            seen.append(number)
        if page.every("#choice-after", "e.disabled") == [True]:
            break
        page.click("#choice-after")
    assert seen == [number for number, *_ in rows]
    page.enter("#choice-half", "l")
    assert page.texts("#choice-found") == [f"{len(rows) // 2} sentences"]
    page.enter("#choice-sort", "low")
    assert listed(page) == [number for number, *_ in rows[::-1]][:8]
    page.enter("#choice-half", "")
    page.enter("#choice-sort", "median")
    assert {rows[len(rows) // 2 - 1][0], rows[len(rows) // 2][0]} <= set(listed(page)[:3])


def test_words_of_T2_have_the_wac_of_T1(page, run):
    wac, _ = run.instability(0)
    ids = {word: i for i, word in enumerate(run.corpus.words.tolist())}
    for word, title in page.every("#choice-list .heat span", "[e.textContent, e.title]"):
        exact = wac[ids[word]]
        if np.isnan(exact):
            assert title == "not in T1"
        else:
            assert float(title.removeprefix("wac ")) == pytest.approx(exact, rel=0.006)


def test_another_seed_has_its_own_words_and_halves(page, run):
    page.enter(".explorer select.seed", 1)
    wac, count = run.instability(1)
    ids = {word: i for i, word in enumerate(run.corpus.words.tolist())}
    words = column(page, 2)
    assert [int(n) for n in column(page, 4)] == [count[ids[w]] for w in words]
    shown = [float(text) for text in column(page, 3)]
    assert shown == pytest.approx([wac[ids[w]] for w in words], rel=0.006)
    ranks = {ids_: r for r, ids_ in enumerate(np.lexsort((np.arange(len(wac)), count, -wac)), 1)}
    assert [int(n) for n in column(page, 1)] == [ranks[ids[w]] for w in words]
    # Of seed 1's T2, the page has what is in seed 0's too.
    own = {number for number, *_ in chosen(run, 0)}
    both = [(number, half) for number, _, half in chosen(run, 1) if number in own]
    assert page.texts("#choice-found") == [f"{len(both)} sentences"]
    assert sorted(listed(page)) == sorted(n for n, _ in both[:8])
    assert [t[:3] for t in page.texts("#choice-list .meta")] == [f"T2{h}" for _, h in both[:8]]


# --- links between words and sentences, and addresses ------------------------------------


def test_frequent_words_come_first(page, data):
    assert page.every("#least", "e.value") == ["5"]
    counts = data["words"]["count"]
    assert page.texts("#found") == [f"{sum(c >= 5 for c in counts)} words"]
    assert min(int(n) for n in column(page, 4)) >= 5


def test_a_dot_leads_to_its_word(page):
    page.click("#word-table tbody tr:nth-child(5) button")
    wanted = page.texts("#word-name")
    x, y = page.every(
        "#scatter .current", "[Number(e.getAttribute('cx')), Number(e.getAttribute('cy'))]"
    )[0]
    page.click("#word-table tbody tr:nth-child(1) button")
    assert page.texts("#word-name") != wanted
    page.execute_script("document.querySelector('#scatter').scrollIntoView({block: 'center'})")
    box = page.every("#scatter", "[e.clientWidth, e.clientHeight]")[0]
    canvas = page.find_element(By.CSS_SELECTOR, "#scatter")
    move = ActionChains(page).move_to_element_with_offset(
        canvas, round(x - box[0] / 2), round(y - box[1] / 2)
    )
    move.perform()
    assert wanted[0] in page.texts("#scatter-says")[0]
    move.click().perform()
    assert page.texts("#word-name") == wanted


def test_words_lead_to_sentences_and_back(page, data):
    page.type("#query", "word1" + Keys.ENTER)
    page.click("#to-choice")
    texts = page.texts("#choice-list .heat")
    assert texts and all("word1" in text.split(" ") for text in texts)
    # By keys: to the second word of the sentence, and to its panel.
    first = page.find_element(By.CSS_SELECTOR, "#choice-list .heat [data-word]")
    page.execute_script("arguments[0].focus()", first)
    second = page.every("#choice-list li:first-child [data-word]", "e.textContent")[1]
    ActionChains(page).send_keys(Keys.ARROW_RIGHT, Keys.ENTER).perform()
    assert page.texts("#word-name") == [second]
    page.reach("#right li:nth-child(1) .heat span:nth-child(2)")
    assert page.texts("#word-name") == page.every(RIGHT, "e.textContent")[1:2]


def shows(browser, selector, text):
    WebDriverWait(browser, 20, 0.05).until(lambda b: b.texts(selector) == [text])


def test_a_word_has_an_address(page, place):
    for word in ODD_WORDS:
        page.enter("#query", word)
        address = page.every("#word-link", "e.href")[0]
        assert page.current_url == address
        # Somebody else's window: the page has another word, and gets this address.
        page.execute_script("location.hash = 'word=film'")
        shows(page, "#word-name", "film")
        page.execute_script("location.hash = arguments[0]", address.partition("#")[2])
        shows(page, "#word-name", word)
    page.get("about:blank")
    page.get(place.as_uri() + "#word=film&seed=2")
    shows(page, "#word-name", "film")
    assert page.every("select.seed", "e.value") == ["2", "2"]


def test_a_sentence_has_an_address(page, place, data):
    number = data["sentences"]["number"][data["maps"]["sentence"][7]]
    page.get("about:blank")
    page.get(f"{place.as_uri()}#sentence={number}")
    WebDriverWait(page, 20, 0.05).until(
        lambda page: page.texts("#sentence-facts")[0].startswith(f"Sentence {number} ")
    )
    assert len(page.texts("#right li[aria-current]")) == 1
    # Of T2: it is found wherever in the list it stands.
    number = data["choice"]["number"][40]
    page.execute_script(f"location.hash = 'sentence={number}'")
    WebDriverWait(page, 20, 0.05).until(
        lambda page: page.every("#choice-list [aria-current]", "e.dataset.sentence")
        == [str(number)]
    )
    page.back()
    assert page.current_url.endswith(
        f"#sentence={data['sentences']['number'][data['maps']['sentence'][7]]}"
    )


def test_sentences_are_searched(page, data):
    page.type("#map-query", '"film"')
    texts = page.texts("#right .heat") + page.texts("#wrong .heat")
    assert texts and all("film" in text.split(" ") for text in texts)
    page.enter("#map-query", "no such words")
    assert page.texts("#right .none, #wrong .none") == ["No sentence of this kind matches."] * 2
    page.type("#choice-query", "no such words")
    assert page.texts("#choice-found") == ["No sentence of T2 matches."]
    assert page.get_log("browser") == []


def test_the_explorer_asks_nothing_of_the_network(page):
    requested(page)
    page.click("#to-choice")
    page.reach("input[value=logit]")
    page.enter(".explorer select.seed", 1)
    page.reach("#choice-list li:nth-child(1) a")
    page.reach("#choice-list .heat span:nth-child(1)")
    assert page.get_log("browser") == [] and requested(page) == []


# --- on every screen ------------------------------------------------------------------------


def too_wide(browser):
    """Elements that reach beyond the window, but inside of a part that scrolls by itself."""
    return browser.execute_script(
        """
        // Not innerWidth: a phone's grows with what overflows.
        const width = document.documentElement.clientWidth;
        const wide = document.documentElement.scrollWidth > width ? ["the page"] : [];
        for (const e of document.body.querySelectorAll("*")) {
          const box = e.getBoundingClientRect();
          const scrolls = e.parentElement.closest(".wide");
          const outside = box.width && (box.right > width + 1 || box.left < -1);
          if (outside && !scrolls && !e.closest(".skip, .hidden, thead"))
            wide.push(e.tagName + "." + e.className + " " + box.right);
        }
        return wide;"""
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_overflows(browser, places, width, theme, language):
    browser.open(places[language], width, theme)
    assert too_wide(browser) == []
    browser.execute_script("for (const e of document.querySelectorAll('details')) e.open = true")
    assert too_wide(browser) == []
    browser.click("#right li:nth-child(1) button")
    browser.type("#query", "word")
    assert too_wide(browser) == []


def test_an_overflow_is_noticed(browser, place):
    browser.open(place, 390)
    browser.execute_script(
        "const wide = document.createElement('p');"
        "wide.style.width = '500px'; wide.style.maxWidth = 'none';"
        "document.querySelector('main').append(wide)"
    )
    assert [name for name in too_wide(browser) if name.startswith("P.")]


def violations(browser):
    """Serious violations of axe-core's rules."""
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    found = browser.execute_script("return axe.run(document, {resultTypes: ['violations']})")[
        "violations"
    ]
    return [
        (rule["id"], node["html"][:120]) for rule in found for node in rule["nodes"]
        if rule["impact"] in ("serious", "critical")
    ]  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_no_serious_violation(browser, places, width, theme, language):
    browser.open(places[language], width, theme)
    browser.execute_script("for (const e of document.querySelectorAll('details')) e.open = true")
    assert violations(browser) == []


def test_axe_finds_a_violation(browser, place, tmp_path):
    copy = variant(place, tmp_path, '<label class="query">Find a word ', '<label class="query">')
    browser.open(copy)
    assert [name for name, _ in violations(browser)] == ["label"]


def ground(browser):
    return browser.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_themes_differ(browser, place):
    seen = []
    for theme in THEMES:
        browser.open(place, theme=theme)
        seen.append((ground(browser), colours(browser)))
    (light, by_light), (dark, by_dark) = seen
    assert light != dark and by_light != by_dark


def test_a_changed_theme_redraws(page):
    light = colours(page)
    page.prefer({"prefers-color-scheme": "dark"})
    WebDriverWait(page, 20, 0.05).until(lambda page: colours(page) != light)


def test_keyboard_reaches_what_can_be_used(page):
    """Tab goes to the skip link first, and in the end to every control."""
    reached = []
    page.execute_script("document.body.tabIndex = -1; document.body.focus()")
    for _ in range(220):
        ActionChains(page).send_keys(Keys.TAB).perform()
        active = page.execute_script(
            "const e = document.activeElement; return [e.id, e.className, e.tagName]"
        )
        reached.append(next(filter(None, active)))
        if reached[-1] == "BODY":
            break
    assert reached[0] == "skip"
    wanted = {"query", "least", "kind", "after", "play", "epoch", "more", "copy", "SUMMARY"}
    wanted |= {"to-choice", "choice-query", "choice-half", "choice-sort", "map-query", "seed"}
    assert wanted <= set(reached)
    # The words of a sentence are one stop.
    assert sum(name == "SPAN" for name in reached) <= 40


def visible(browser, selector):
    """Whether the first element that a selector finds has a height."""
    return browser.every(selector, "e.getBoundingClientRect().height > 0")[0]


def test_print_is_light_and_without_controls(browser, place):
    browser.open(place, theme="dark", media="print")
    parts = ("nav", "#play", "#query", "#after", ".claims", "#raster")
    shown = [visible(browser, part) for part in parts]
    assert shown == [False, False, False, False, True, True]
    ink = browser.execute_script("return getComputedStyle(document.body).color")
    assert max(int(n) for n in re.findall(r"\d+", ink)) < 80


@pytest.mark.parametrize("width", [700, 1100])
def test_print_fits_paper_upright_and_across(browser, place, width):
    browser.open(place, width, media="print")
    assert too_wide(browser) == []
    wide = browser.every(".beside", "e.getBoundingClientRect().width")
    # One column, whatever the paper.
    assert min(wide) > 0.8 * width


def test_explained_texts(browser, run, tmp_path):
    """The page of `replicate explain --html`: as alone, as wide and as accessible as the report."""
    texts = [" ".join(ODD_WORDS), "word1 film zorblax " * 6]
    page = tmp_path / "explained.html"
    page.write_text(explain.render_html(explain.explain(run, texts)), encoding="utf-8")
    for width in WIDTHS:
        for theme in THEMES:
            browser.get_log("browser"), browser.get_log("performance")
            browser.open(page, width, theme)
            assert browser.get_log("browser") == [] and requested(browser) == [page.as_uri()]
            assert too_wide(browser) == [] and violations(browser) == []
    assert browser.texts("h2 bdi") == texts
    assert set(ODD_WORDS) == set(browser.texts("table:first-of-type th.w bdi")[: len(ODD_WORDS)])
    assert browser.execute_script("return window.planted") is None


def test_without_javascript(browser, place, data):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(place)
        assert column(browser, 2) == [row[1] for row in report._extremes(data)]
        parts = (".claims .claim", "#query", "#heatmaps", "noscript p", "#word")
        shown = [visible(browser, part) for part in parts]
        assert shown == [True, False, False, True, False]
        assert too_wide(browser) == []
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.parametrize("weights", ["first", "none"])
def test_streaming_run(browser, tmp_path, weights):
    run = odd_run(tmp_path, options=Options(stored=False, epoch_weights=weights))
    browser.get_log("browser")
    browser.open(conclude(run))
    assert browser.get_log("browser") == []
    browser.type("#query", "film")
    assert browser.texts("#word-name") == ["film"] and browser.texts("#chart svg") == []
    by_epoch = weights == "first"
    controls = [visible(browser, part) for part in ("#epoch", "#play", ".word input.epoch")]
    assert controls == [by_epoch, by_epoch, False]
    assert len(browser.texts("#arms dt")) == 7 and any(colours(browser))
    if by_epoch:
        before = colours(browser)
        browser.type("#epoch", Keys.HOME)
        assert colours(browser) != before
    assert violations(browser) == [] and too_wide(browser) == []
