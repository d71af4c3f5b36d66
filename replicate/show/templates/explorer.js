/* The word explorer of the report.  Words of the corpus are always inserted as text, never as markup. */
(() => {
"use strict";

const data = JSON.parse(document.getElementById("explorer-data").textContent);
const texts = JSON.parse(document.getElementById("page-texts").textContent);
const byId = (id) => document.getElementById(id);
/** A text of the page's language, with values in the places of {name}. */
const said = (key, values = {}) => texts[`js.${key}`].replace(/\{(\w+)\}/g, (_, name) => values[name]);
const dark = matchMedia("(prefers-color-scheme: dark)");
let printing = false;

// --- numbers -------------------------------------------------------------------

const CODE = new Uint8Array(128);
[..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].forEach((c, i) => {
  CODE[c.charCodeAt(0)] = i;
});

/** The inverse of `packed` in explorer.py: `n` whole numbers of `width` characters, from number `start` on. */
function whole(text, width, start = 0, n = text.length / width) {
  const out = new Uint32Array(n);
  for (let i = 0, at = start * width; i < n; i++) {
    let number = 0;
    for (let k = 0; k < width; k++) number = number * 64 + CODE[text.charCodeAt(at++)];
    out[i] = number;
  }
  return out;
}

/** Saliencies from packed numbers q: top (q / levels)^2. */
function saliencies(text, start, n) {
  return Float64Array.from(whole(text, 2, start, n), (q) => data.top * (q / data.levels) ** 2);
}

const grouped = d3.format(",");
const short = (x) => (x === 0 ? "0" : x.toExponential(2));
const shown = (x) => (x === 0 ? "0" : x < 1e-4 ? x.toExponential(1) : d3.format(".4f")(x));
const probability = (p) => (p > 0.995 ? "> 0.99" : p.toFixed(2));
const quantile = (q) => `${Math.round(100 * q)} %`;

// --- words ---------------------------------------------------------------------

const words = data.words;
const nWords = words.word.length;
const lower = words.word.map((word) => word.toLowerCase());
const allWords = words.word.concat(data.others);
const details = new Map();
{
  let start = 0;
  data.details.word.forEach((word, i) => {
    const places = data.details.at[i];
    details.set(word, { start, places });
    start += (data.details.quantiles.length + places.length) * data.epochs.length;
  });
}

const sentences = data.sentences;
const sentenceStart = [0];
for (const length of sentences.length) sentenceStart.push(sentenceStart.at(-1) + length);
const tokens = whole(sentences.tokens, 3);
const tokensOf = (s) => tokens.subarray(sentenceStart[s], sentenceStart[s + 1]);

const state = {
  sort: "rank", up: true, page: 0, word: -1, matching: [],
  epoch: data.epochs.length - 1, hover: null, first: 0,
  // Start with a misclassified sentence, because its saliency is higher.
  sentence: data.maps.sentence.length ? data.kept.correct % data.maps.sentence.length : -1,
};
const PAGE = 16;

const collator = new Intl.Collator();
const SORTS = {
  rank: (a, b) => words.rank[a] - words.rank[b],
  word: (a, b) => collator.compare(words.word[a], words.word[b]),
  wac: (a, b) => words.wac[a] - words.wac[b] || words.rank[b] - words.rank[a],
  count: (a, b) => words.count[a] - words.count[b] || words.rank[b] - words.rank[a],
};

function match() {
  const query = byId("query").value.trim().toLowerCase();
  const least = Number(byId("least").value) || 1;
  const kind = byId("kind").value;
  const fits = {
    "": () => true,
    details: (i) => details.has(i),
    known: (i) => words.known[i] === "1",
    unknown: (i) => words.known[i] === "0",
  }[kind];
  const found = [];
  for (let i = 0; i < nWords; i++) {
    if (words.count[i] >= least && lower[i].includes(query) && fits(i)) found.push(i);
  }
  const compare = SORTS[state.sort];
  found.sort(state.up ? compare : (a, b) => compare(b, a));
  // An exact match comes before words that only contain the query.
  const exact = query ? found.findIndex((i) => lower[i] === query) : -1;
  if (exact > 0) found.unshift(...found.splice(exact, 1));
  state.matching = found;
  state.page = 0;
  return exact >= 0;
}

function drawTable() {
  const found = state.matching;
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  const start = state.page * PAGE;
  const rows = d3.select("#word-table tbody").selectAll("tr")
    .data(found.slice(start, start + PAGE))
    .join((enter) => enter.append("tr").each(function () {
      const row = d3.select(this);
      row.append("td").attr("class", "n");
      row.append("td").append("button").attr("type", "button").append("bdi");
      row.append("td").attr("class", "n");
      row.append("td").attr("class", "n");
    }));
  rows.attr("aria-current", (i) => (i === state.word ? "true" : null));
  rows.select("td:nth-child(1)").text((i) => words.rank[i]);
  rows.select("button").attr("title", (i) => words.word[i]).on("click", (event, i) => choose(i));
  rows.select("bdi").text((i) => words.word[i]);
  rows.select("td:nth-child(3)").text((i) => short(words.wac[i]));
  rows.select("td:nth-child(4)").text((i) => words.count[i]);
  byId("found").textContent = found.length
    ? said(found.length === 1 ? "found.one" : "found", { n: grouped(found.length) }) : said("found.none");
  byId("page").textContent = said("of", { i: state.page + 1, n: grouped(pages) });
  byId("before").disabled = state.page === 0;
  byId("after").disabled = state.page >= pages - 1;
}

function prepareTable() {
  d3.select("#word-table tbody").selectAll("tr").remove();
  d3.selectAll("#word-table th").each(function () {
    const name = this.dataset.sort;
    const title = this.textContent;
    const button = d3.select(this).text(null).append("button").attr("type", "button").text(title);
    button.on("click", () => {
      // High numbers first; a second click reverses the order.
      state.up = state.sort === name ? !state.up : name === "rank" || name === "word";
      state.sort = name;
      d3.selectAll("#word-table th").attr("aria-sort", function () {
        return this.dataset.sort === name ? (state.up ? "ascending" : "descending") : null;
      });
      match();
      drawTable();
    });
  });
  const turn = (step) => () => {
    state.page += step;
    drawTable();
  };
  byId("before").addEventListener("click", turn(-1));
  byId("after").addEventListener("click", turn(1));
  for (const id of ["query", "least", "kind"]) {
    byId(id).addEventListener("input", () => {
      const exact = match();
      if (exact) choose(state.matching[0]);
      drawTable();
    });
  }
  byId("query").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && state.matching.length) choose(state.matching[0]);
  });
  document.querySelector(".find").addEventListener("submit", (event) => event.preventDefault());
}

function choose(word) {
  state.word = word;
  drawTable();
  drawWord();
}

// --- one word --------------------------------------------------------------------

const LINES = ["#D55E00", "#009E73", "#CC79A7", "#E69F00"];

/** Curves of a word: the mean and, if the page has them, quantiles and single occurrences. */
function curvesOf(word) {
  const n = data.epochs.length;
  const mean = saliencies(words.mean, word * n, n);
  const detail = details.get(word);
  if (!detail) return { mean, quantiles: [], lines: [], places: [] };
  const all = d3.range(data.details.quantiles.length + detail.places.length)
    .map((i) => saliencies(data.details.curves, detail.start + i * n, n));
  const quantiles = all.slice(0, data.details.quantiles.length);
  return { mean, quantiles, lines: all.slice(quantiles.length), places: detail.places };
}

function drawWord() {
  const word = state.word;
  if (word < 0) return;
  const count = words.count[word];
  const parts = [
    said("rank", { rank: grouped(words.rank[word]), n: grouped(data.totals.words) }),
    `wac ${short(words.wac[word])}`,
    said(count === 1 ? "times.one" : "times", { n: grouped(count) }),
  ];
  if (words.known) parts.push(said(words.known[word] === "1" ? "known" : "unknown"));
  byId("word-name").textContent = words.word[word];
  byId("word-facts").textContent = parts.join(" · ");
  const curves = words.mean ? curvesOf(word) : null;
  d3.select("#chart").selectAll("*").remove();
  if (curves) drawChart(word, curves);
  drawLegend(word, curves);
  drawTexts(word, curves);
  drawNow();
}

let chart = null;

function drawChart(word, curves) {
  const width = Math.max(260, byId("chart").clientWidth);
  const height = 270;
  const margin = { top: 26, right: 8, bottom: 34, left: 46 };
  const epochs = data.epochs;
  const top = d3.max([curves.mean, ...curves.quantiles, ...curves.lines], (c) => d3.max(c)) || 1e-9;
  const x = d3.scaleLinear([epochs[0], epochs.at(-1)], [margin.left, width - margin.right]);
  const y = d3.scaleLinear([0, top], [height - margin.bottom, margin.top]).nice();
  const svg = d3.select("#chart").append("svg").attr("width", width).attr("height", height)
    .attr("viewBox", `0 0 ${width} ${height}`).attr("role", "img")
    .attr("aria-label", said("chart", {
      word: words.word[word], first: shown(curves.mean[0]), start: epochs[0],
      last: shown(curves.mean.at(-1)), stop: epochs.at(-1),
    }));
  svg.append("g").attr("transform", `translate(0,${height - margin.bottom})`)
    .call(d3.axisBottom(x).ticks(Math.min(10, width / 60)).tickFormat(d3.format("d")).tickSizeOuter(0));
  svg.append("g").attr("transform", `translate(${margin.left},0)`)
    .call(d3.axisLeft(y).ticks(5, top < 1e-3 ? "~e" : undefined).tickSize(-(width - margin.left - margin.right)));
  svg.append("text").attr("x", width - margin.right).attr("y", height - 2).attr("text-anchor", "end").text(said("epoch"));
  svg.append("text").attr("x", 0).attr("y", 12).text(said("saliency"));
  const line = d3.line((v, i) => x(epochs[i]), (v) => y(v));
  const area = (low, high) => d3.area((v, i) => x(epochs[i]), (v, i) => y(low[i]), (v, i) => y(high[i]))(low);
  if (curves.quantiles.length) {
    const [a, b, c, d] = curves.quantiles;
    svg.append("path").attr("class", "outer").attr("d", area(a, d));
    svg.append("path").attr("class", "inner").attr("d", area(b, c));
  }
  curves.lines.forEach((values, i) => {
    svg.append("path").attr("class", "one").attr("stroke", LINES[i]).attr("d", line(values));
  });
  svg.append("path").attr("class", "mean").attr("d", line(curves.mean));
  const now = svg.append("line").attr("class", "now").attr("y1", margin.top).attr("y2", height - margin.bottom);
  const under = (event) => d3.bisectCenter(epochs, x.invert(d3.pointer(event, svg.node())[0]));
  const hover = (e) => {
    state.hover = e;
    drawReadout();
  };
  svg.on("pointermove", (event) => hover(under(event))).on("pointerleave", () => hover(null));
  svg.on("click", (event) => setEpoch(under(event)));
  chart = { x, now, curves };
}

function drawLegend(word, curves) {
  const legend = d3.select("#chart-legend").text(null);
  if (!curves) {
    legend.text(said("unstored"));
    return;
  }
  const entry = (kind, text) => {
    const span = legend.append("span");
    span.append("i").attr("class", `key ${kind}`);
    span.append(() => document.createTextNode(text));
  };
  const count = words.count[word];
  entry("mean-key", count === 1 ? said("only") : said("mean", { n: grouped(count) }));
  if (curves.quantiles.length) {
    const q = data.details.quantiles.map(quantile);
    entry("area inner-key", said("inner", { low: q[1], high: q[2] }));
    entry("area outer-key", said("outer", { low: q[0], high: q[3] }));
    legend.append(() => document.createTextNode(said("thin")));
  } else if (count > 1) {
    legend.append(() => document.createTextNode(said("mean_only", { n: grouped(details.size) })));
  }
}

const MOST_TEXTS = 7;

/** Sentences that contain a word: first those with a line in the chart. */
function drawTexts(word, curves) {
  const chosen = [];
  if (curves) {
    curves.places.forEach((place, line) => {
      if (place) chosen.push({ sentence: place[0], position: place[1], line });
    });
  }
  const have = new Set(chosen.map((entry) => entry.sentence));
  for (let s = 0; s < sentences.length.length && chosen.length < MOST_TEXTS; s++) {
    const position = have.has(s) ? -1 : tokensOf(s).indexOf(word);
    if (position >= 0) chosen.push({ sentence: s, position, line: -1 });
  }
  const list = d3.select("#texts");
  list.selectAll("*").remove();
  if (!chosen.length) list.append("li").attr("class", "none").text(said("no_text"));
  for (const { sentence, position, line } of chosen) {
    const item = list.append("li");
    if (line >= 0) item.append("i").attr("class", "key").style("border-color", LINES[line]);
    const text = item.append("span").attr("dir", "auto");
    tokensOf(sentence).forEach((token, i) => {
      if (i) text.append(() => document.createTextNode(" "));
      // A line belongs to one occurrence: do not mark the same word elsewhere in the sentence.
      const mine = line >= 0 ? i === position : token === word;
      text.append(mine ? "mark" : "span").text(allWords[token]);
    });
    const right = sentences.label[sentence] === sentences.predicted[sentence];
    const note = item.append("small").text(said("labels", { true: data.labels[sentences.label[sentence]] }));
    note.append("span").attr("class", right ? null : "off").text(data.labels[sentences.predicted[sentence]]);
  }
}

// --- sentences as heat maps --------------------------------------------------------

const maps = data.maps;
const nMaps = maps.sentence.length;
const nCorrect = data.kept.correct;
const mapStart = [0];
for (const s of maps.sentence) mapStart.push(mapStart.at(-1) + sentences.length[s]);
const predicted = whole(maps.predicted, 2);
const uncertainty = whole(maps.uncertainty, 2);
const mapCache = new Map();
const COLUMN = 3;

/** Saliency of heat map `m`: one array for each epoch. */
function mapOf(m) {
  if (!mapCache.has(m)) {
    const length = mapStart[m + 1] - mapStart[m];
    const all = saliencies(maps.saliency, mapStart[m] * maps.epochs.length, length * maps.epochs.length);
    mapCache.set(m, d3.range(maps.epochs.length).map((e) => all.subarray(e * length, (e + 1) * length)));
  }
  return mapCache.get(m);
}

const RAMPS = {
  light: d3.interpolateRgbBasis(["#ffffff", "#ffe0bd", "#fbb266", "#dd6a12", "#8a3400"]),
  dark: d3.interpolateRgbBasis(["#1c2024", "#43290f", "#8c4a0e", "#dd8526", "#ffe0ad"]),
};
const ramp = () => (dark.matches && !printing ? RAMPS.dark : RAMPS.light);
const share = (value) => Math.min(1, data.shade ? value / data.shade : 0);

function luminance(colour) {
  const { r, g, b } = d3.rgb(colour);
  const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}

/** Background colour of a value, and black or white for the text, whichever has more contrast. */
function shade(value) {
  if (value <= 0) return { background: null, colour: null };
  const background = ramp()(share(value));
  return { background, colour: luminance(background) > 0.179 ? "#000000" : "#ffffff" };
}

function colour(spans, values) {
  spans.each(function (_, i) {
    const { background, colour: ink } = shade(values[i]);
    d3.select(this).style("background-color", background).style("color", ink).attr("title", shown(values[i]));
  });
}

function spansOf(parent, sentence) {
  const text = parent.append("p").attr("class", "heat").attr("dir", "auto");
  tokensOf(sentence).forEach((token, i) => {
    if (i) text.append(() => document.createTextNode(" "));
    text.append("span").text(allWords[token]);
  });
  return text.selectAll("span");
}

const mapEpoch = () => {
  // Heat maps may have fewer epochs than the curves: take the nearest one.
  const wanted = data.epochs[state.epoch];
  return d3.leastIndex(maps.epochs, (e) => Math.abs(e - wanted));
};

/** Write the true label, the predicted label and its probability. */
function showLabels(element, label, given, p) {
  element.text(null);
  element.append("span").text(said("labels", { true: data.labels[label] }));
  element.append("span").attr("class", label === given ? null : "off").text(data.labels[given]);
  element.append("span").text(` · p ${probability(p)}`);
}

let cards = [];

function drawCards() {
  cards = [];
  for (const [id, from, to] of [["right", 0, nCorrect], ["wrong", nCorrect, nMaps]]) {
    const list = d3.select(`#${id}`);
    list.selectAll("*").remove();
    const start = from + state.first;
    if (start >= to) list.append("li").attr("class", "none").text(said(to > from ? "no_more" : "no_sentence"));
    for (let m = start; m < Math.min(to, start + COLUMN); m++) {
      const item = list.append("li").attr("aria-current", m === state.sentence ? "true" : null);
      const meta = item.append("p").attr("class", "meta");
      const spans = spansOf(item, maps.sentence[m]);
      item.append("button").attr("type", "button").text(said("see"))
        .attr("aria-label", said("see.one", { n: sentences.number[maps.sentence[m]] }))
        .on("click", () => {
          state.sentence = m;
          d3.selectAll(".cards-list li").attr("aria-current", null);
          item.attr("aria-current", "true");
          drawSentence();
          drawNow();
          byId("sentence").scrollIntoView({ block: "nearest" });
        });
      // The strongest words as text, for screen readers.
      const strongest = item.append("p").attr("class", "hidden");
      cards.push({ m, meta, spans, strongest });
    }
  }
  const most = Math.max(nCorrect, nMaps - nCorrect);
  byId("shown").textContent = said("range", { first: state.first + 1, last: Math.min(state.first + COLUMN, most), n: most });
  byId("fewer").disabled = state.first === 0;
  byId("more").disabled = state.first + COLUMN >= most;
}

function drawScale() {
  d3.select("#scale").selectAll("*").remove();
  if (!data.shade) return;
  const width = 190;
  const svg = d3.select("#scale").append("svg").attr("width", width + 44).attr("height", 30).attr("role", "img")
    .attr("aria-label", said("colours", { top: shown(data.shade) }));
  const gradient = svg.append("defs").append("linearGradient").attr("id", "ramp");
  for (const t of d3.range(0, 1.01, 0.1)) gradient.append("stop").attr("offset", t).attr("stop-color", ramp()(t));
  svg.append("rect").attr("x", 16).attr("width", width).attr("height", 10).attr("fill", "url(#ramp)");
  const x = d3.scaleLinear([0, data.shade], [16, 16 + width]);
  svg.append("g").attr("transform", "translate(0,10)").call(
    d3.axisBottom(x).tickValues([0, data.shade / 2, data.shade]).tickSize(3)
      .tickFormat((v) => (v === data.shade ? `≥ ${d3.format(".3f")(v)}` : d3.format(".3f")(v))),
  );
}

let raster = null;

/** The chosen sentence: its words at every epoch, and with the final model of every arm. */
function drawSentence() {
  const m = state.sentence;
  d3.select("#raster").selectAll("*").remove();
  d3.select("#arms").selectAll("*").remove();
  raster = null;
  if (m < 0) return;
  const s = maps.sentence[m];
  const own = tokensOf(s);
  byId("sentence-facts").textContent =
    said("sentence", { n: sentences.number[s], label: data.labels[sentences.label[s]] });
  const values = mapOf(m);
  const height = 17;
  const left = Math.min(130, 14 + 7 * d3.max(own, (token) => allWords[token].length));
  const width = Math.max(300, byId("raster").parentElement.clientWidth - 4);
  const epochs = maps.epochs;
  const x = d3.scaleBand(d3.range(epochs.length), [left, width]);
  const svg = d3.select("#raster").append("svg").attr("width", width).attr("height", own.length * height + 26)
    .attr("role", "img").attr("aria-label", said("raster"));
  values.forEach((row, e) => {
    row.forEach((value, i) => {
      if (value > 0) {
        svg.append("rect").attr("x", x(e)).attr("y", i * height + 1).attr("width", x.bandwidth() + 0.3)
          .attr("height", height - 2).attr("fill", ramp()(share(value)));
      }
    });
  });
  own.forEach((token, i) => {
    const name = allWords[token];
    svg.append("text").attr("x", left - 6).attr("y", i * height + 12.5).attr("text-anchor", "end")
      .text(name.length > 16 ? `${name.slice(0, 15)}…` : name);
  });
  const ticks = d3.ticks(epochs[0], epochs.at(-1), Math.min(6, epochs.length)).map((e) => epochs.indexOf(e)).filter((e) => e >= 0);
  svg.append("g").attr("transform", `translate(0,${own.length * height})`)
    .call(d3.axisBottom(x).tickValues(ticks).tickFormat((e) => epochs[e]).tickSize(3));
  const now = svg.append("rect").attr("class", "now").attr("y", 0).attr("height", own.length * height).attr("width", x.bandwidth());
  raster = { x, now };

  const total = mapStart[nMaps];
  const byArm = whole(data.arms.uncertainty, 2);
  data.arms.arm.forEach((arm, a) => {
    const row = d3.select("#arms").append("div");
    const name = row.append("dt");
    const given = data.arms.predicted[a][m];
    showLabels(name, sentences.label[s], given, 1 - byArm[a * nMaps + m] / data.levels);
    name.insert("strong", ":first-child").text(`${arm} `);
    const spans = spansOf(row.append("dd"), s);
    colour(spans, saliencies(data.arms.saliency, a * total + mapStart[m], own.length));
  });
}

// --- epoch ---------------------------------------------------------------------------

/** The chart's vertical line and the numbers there: at the pointer, else at the chosen epoch. */
function drawReadout() {
  if (!chart) return;
  const e = state.hover ?? state.epoch;
  const at = chart.x(data.epochs[e]);
  chart.now.attr("x1", at).attr("x2", at);
  const { mean, quantiles } = chart.curves;
  let text = said("readout", { epoch: data.epochs[e], mean: shown(mean[e]) });
  if (quantiles.length) text += said("middle", { low: shown(quantiles[1][e]), high: shown(quantiles[2][e]) });
  byId("readout").textContent = text;
}

/** Everything that depends only on the epoch. */
function drawNow() {
  const e = state.epoch;
  for (const slider of document.querySelectorAll("input.epoch")) {
    slider.value = e;
    slider.setAttribute("aria-valuetext", said("at", { epoch: data.epochs[e] }));
  }
  byId("epoch-shown").textContent = data.epochs[e];
  drawReadout();
  const k = mapEpoch();
  for (const { m, meta, spans, strongest } of cards) {
    const values = mapOf(m)[k];
    colour(spans, values);
    const at = m * maps.epochs.length + k;
    showLabels(meta, sentences.label[maps.sentence[m]], predicted[at], 1 - uncertainty[at] / data.levels);
    const own = tokensOf(maps.sentence[m]);
    const order = d3.sort(d3.range(own.length), (i) => -values[i]).slice(0, 3);
    strongest.text(said("strongest", { words: order.map((i) => `${allWords[own[i]]} ${shown(values[i])}`).join(", ") }));
  }
  if (raster) raster.now.attr("x", raster.x(k));
}

function setEpoch(e) {
  if (e === state.epoch) return;
  state.epoch = e;
  drawNow();
}

let timer = null;

function stop() {
  if (timer) timer.stop();
  timer = null;
  byId("play").textContent = said("play");
}

function play() {
  if (timer) {
    stop();
    return;
  }
  const last = data.epochs.length - 1;
  setEpoch(state.epoch >= last ? 0 : state.epoch + 1);
  byId("play").textContent = said("pause");
  timer = d3.interval(() => {
    setEpoch(state.epoch + 1);
    if (state.epoch >= last) stop();
  }, 200);
}

// --- start -----------------------------------------------------------------------------

function drawAll() {
  drawScale();
  drawCards();
  drawSentence();
  drawWord();
  drawNow();
}

for (const element of document.querySelectorAll(".list [hidden], #word, #heatmaps")) element.hidden = false;
if (maps.epochs.length === 1) byId("play").hidden = true;
for (const slider of document.querySelectorAll("input.epoch")) {
  slider.max = data.epochs.length - 1;
  slider.parentElement.hidden = slider.id ? maps.epochs.length === 1 : !words.mean;
  slider.addEventListener("input", () => {
    stop();
    setEpoch(Number(slider.value));
  });
}
byId("play").addEventListener("click", play);
for (const [id, step] of [["fewer", -COLUMN], ["more", COLUMN]]) {
  byId(id).addEventListener("click", () => {
    state.first += step;
    drawCards();
    drawNow();
  });
}
prepareTable();
match();
// Start with the most unstable word that occurs ten times or more and has a spread.
const often = d3.range(nWords).filter((i) => details.has(i) && words.count[i] >= 10);
choose(d3.least(often.length ? often : d3.range(nWords), SORTS.rank));
drawAll();

let width = 0;
new ResizeObserver(() => {
  // Drawing changes the height of the page: redraw only if the width changed.
  if (document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  drawWord();
  drawSentence();
  drawNow();
}).observe(document.body);
dark.addEventListener("change", drawAll);
for (const [name, value] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(name, () => {
    printing = value;
    drawAll();
  });
}
})();
