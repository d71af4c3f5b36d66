/* The explorer of the report: words by frequency and instability, the choice among T2, heat maps of T1.
   Words of the corpus are always inserted as text, never as markup. */
(() => {
"use strict";

const data = JSON.parse(document.getElementById("explorer-data").textContent);
const byId = (id) => document.getElementById(id);
const japanese = document.documentElement.lang === "ja";

// --- texts ---------------------------------------------------------------------

/** Texts of the parts that this script makes: in English and in Japanese. */
const OWN = {
  "scatter.title": ["Frequency against instability", "頻度と注目度変化量"],
  "scatter.about": [
    "Each dot is a word of T1: to the right more frequent, to the top more unstable. Choose one. Full dots are the words of the table below, which begins with words that occur five times or more: the instability of a word that occurs once is that of one place.",
    "点は T1 の単語です。右ほど頻度が高く、上ほど注目度変化量 wac が大きい語です。点を選ぶと語が表示されます。濃い点は下の表の語です。表は 5 回以上現れる語から始まります。1 回だけの語の値は 1 か所だけの値だからです。",
  ],
  "scatter.label": [
    "{n} words by number of occurrences and instability; the table below lists them",
    "{n} 語の出現回数と注目度変化量。下の表に同じ語があります",
  ],
  "scatter.x": ["times in T1", "T1 での出現回数"],
  "scatter.y": ["wac, eq. (9)", "wac、式 (9)"],
  "scatter.at": ["{word}: {n} × in T1, wac {wac}", "{word}：T1 に {n} 回、wac {wac}"],
  "scatter.none": ["Point at a dot to see its word.", "点に触れると単語が出ます。"],
  "seed": ["seed", "シード"],
  "seeds.word": ["In each seed: {list}.", "各シード：{list}。"],
  "seeds.one": ["seed {seed}: wac {wac}, rank {rank}", "シード {seed}：wac {wac}、{rank} 位"],
  "seeds.absent": ["seed {seed}: not in T1", "シード {seed}：T1 になし"],
  "seeds.curves": [
    "Curves and sentences of T1 are those of seed {seed}.",
    "曲線と T1 の文はシード {seed} のものです。",
  ],
  "to.choice": ["Sentences of T2 with this word", "この語を含む T2 の文"],
  "link": ["Link", "リンク"],
  "link.word": ["Link to the word {word}", "単語 {word} へのリンク"],
  "link.sentence": ["Link to sentence {n}", "文 {n} へのリンク"],
  "choice.title": ["The choice: sentences of T2", "選択：T2 の文"],
  "choice.nav": ["Choice", "選択"],
  "choice.about": [
    "The method scores each sentence of T2 by A_S, eq. (10): the mean wac of its words. Those above the median form T2h, those below T2l. A word in a stronger colour has a higher wac in T1, and so pulls the sentence up. Dotted words are not in T1 and have no wac.",
    "手法は T2 の各文に A_S（式 (10)、単語の wac の平均）を付けます。中央値より上の文が T2h、下の文が T2l です。色の濃い語ほど T1 での wac が大きく、文の値を上げます。点線の語は T1 になく、wac がありません。",
  ],
  "choice.some": [
    "The page has {n} of the {total} sentences of T2.",
    "このページには T2 の {total} 文のうち {n} 文があります。",
  ],
  "choice.all": ["The page has all {total} sentences of T2.", "このページには T2 の全 {total} 文があります。"],
  "choice.seeds": [
    "“Chosen” counts the finished seeds, {all} in all, in which the sentence is in T2: how often it was in T2h. Chance gives one half.",
    "「選択」は、終わった {all} シードのうち、その文が T2 にあった回数と、T2h に入った回数です。偶然なら半分です。",
  ],
  "choice.further": [
    "For this seed, the page has the sentences that are also in T2 of seed {seed}.",
    "このシードについては、シード {seed} の T2 にもある文だけがあります。",
  ],
  "choice.find": ["Find in sentences", "文を検索"],
  "choice.half": ["show", "表示"],
  "choice.half.": ["both halves", "両方"],
  "choice.half.h": ["T2h", "T2h"],
  "choice.half.l": ["T2l", "T2l"],
  "choice.sort": ["order", "順序"],
  "choice.sort.high": ["highest A_S first", "A_S の大きい順"],
  "choice.sort.low": ["lowest A_S first", "A_S の小さい順"],
  "choice.sort.median": ["nearest to the median", "中央値に近い順"],
  "choice.sort.often": ["most often chosen", "選ばれた割合の順"],
  "choice.found": ["{n} sentences", "{n} 文"],
  "choice.found.one": ["1 sentence", "1 文"],
  "choice.found.none": ["No sentence of T2 matches.", "一致する T2 の文はありません。"],
  "choice.facts": ["A_S {score} · true: {label}", "A_S {score} · 正解：{label}"],
  "choice.rank": [" · rank {rank} of {n}", " · {n} 文中 {rank} 位"],
  "choice.often": [" · chosen in {h} of {n} seeds", " · {n} シード中 {h} 回選択"],
  "choice.middle": ["neither half", "どちらでもない"],
  "choice.scores": [
    "A_S of {n} sentences; the median lies at {median}",
    "{n} 文の A_S。中央値は {median}",
  ],
  "choice.axis": ["A_S: left of the line T2l, right of it T2h", "A_S：線の左が T2l、右が T2h"],
  "choice.wac": ["wac of the words", "単語の wac"],
  "previous": ["Previous", "前へ"],
  "next": ["Next", "次へ"],
  "absent": ["not in T1", "T1 になし"],
  "map": ["heat map", "ヒートマップ"],
  "map.one": ["Heat map of sentence {n}", "文 {n} のヒートマップ"],
  "map.find": ["Find in these sentences", "これらの文を検索"],
  "map.none": ["No sentence of this kind matches.", "一致する文はありません。"],
  "scale": ["Scale", "尺度"],
  "scale.name.raw": ["raw", "そのまま"],
  "scale.name.standardised": ["standardised", "標準化"],
  "scale.name.logit": ["logit", "ロジット"],
  "scale.raw": [
    "Raw saliency, eq. (6): what wac, A_S and Fig. 5 are made of. It shrinks as the model grows sure of its label, so that sure sentences are pale. A dot or a dotted underline: no filter chose the word, and its saliency is exactly 0.",
    "式 (6) の注目度そのもの。wac、A_S、図 5 の元です。モデルが確信するほど小さくなり、確信した文は淡くなります。点または点線の下線：どのフィルタもその語を選ばず、注目度はちょうど 0 です。",
  ],
  "scale.standardised": [
    "Standardised within the sentence and epoch, as in Figs 3 and 4 (F3, F4): orange words are above the mean of the sentence, blue ones below. A dot or a dotted underline: no filter chose the word.",
    "図 3、4（F3、F4）と同じく、文とエポックごとに標準化。橙は文の平均より上、青は下です。点または点線の下線：どのフィルタもその語を選んでいません。",
  ],
  "scale.logit": [
    "Saliency divided by 1 − p: the gradient of the logit difference, as in the last panel of Fig. 5. How sure the model is plays no part. A dot or a dotted underline: no filter chose the word.",
    "注目度を 1 − p で割った値（ロジット差の勾配）。図 5 の最後の図と同じで、確信の度合いは影響しません。点または点線の下線：どのフィルタもその語を選んでいません。",
  ],
  "colours": [
    "Colours from {high} standard deviations below the mean of the sentence to {high} above it",
    "文の平均より標準偏差 {high} 個分下から上までの色",
  ],
  "rings": ["rings at 0: no filter chose that occurrence", "0 の輪：その出現をどのフィルタも選ばなかった"],
};
/** Texts of the parts that the page has. */
const texts = JSON.parse(byId("page-texts").textContent);
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const own = (key, values = {}) => filled(OWN[key][japanese ? 1 : 0], values);
/** A text of the page's language, with values in the places of {name}. */
const said = (key, values = {}) => filled(texts[`js.${key}`], values);
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

/** The inverse of `logarithms` in explorer.py: 0 is missing, 1 is zero. */
const DECADES = 12;
const unlogged = (q) => (q === 0 ? NaN : q === 1 ? 0 : 10 ** ((-DECADES * (data.levels - q)) / (data.levels - 2)));

const grouped = d3.format(",");
const short = (x) => (x === 0 ? "0" : x.toExponential(2));
const shown = (x) => (x === 0 ? "0" : Math.abs(x) < 1e-4 ? x.toExponential(1) : x.toFixed(4));
const probability = (p) => (p > 0.995 ? "> 0.99" : p.toFixed(2));
const quantile = (q) => `${Math.round(100 * q)} %`;

// --- words ---------------------------------------------------------------------

const words = data.words;
const nWords = words.word.length;
const lower = words.word.map((word) => word.toLowerCase());
const choice = data.choice;
const allWords = words.word.concat(data.others, choice.others);
const nSeeds = data.seeds.length;
// Rank and count of the further seeds, one seed after another.
const furtherRanks = whole(words.ranks, 3);
const furtherCounts = whole(words.counts, 3);
const wacs = whole(choice.wac, 2);
const rankOf = (i) => (state.seed ? furtherRanks[(state.seed - 1) * nWords + i] : words.rank[i]);
const countOf = (i) => (state.seed ? furtherCounts[(state.seed - 1) * nWords + i] : words.count[i]);
/** wac of a word of the page in a seed; NaN where T1 does not contain it. */
const wacIn = (i, seed) => (seed || i >= nWords ? unlogged(wacs[seed * allWords.length + i]) : words.wac[i]);
const wacOf = (i) => wacIn(i, state.seed);
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
  // Index of a seed of the page, and the scale of the heat maps.
  seed: 0, scale: "raw",
  // Start with a misclassified sentence, because its saliency is higher.
  sentence: data.maps.sentence.length ? data.kept.correct % data.maps.sentence.length : -1,
};
const PAGE = 16;

const collator = new Intl.Collator();
const SORTS = {
  rank: (a, b) => rankOf(a) - rankOf(b),
  word: (a, b) => collator.compare(words.word[a], words.word[b]),
  wac: (a, b) => wacOf(a) - wacOf(b) || rankOf(b) - rankOf(a),
  count: (a, b) => countOf(a) - countOf(b) || rankOf(b) - rankOf(a),
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
    // The word itself is found also where it is rarer than the table's words.
    if (rankOf(i) && (countOf(i) >= least || lower[i] === query) && lower[i].includes(query) && fits(i)) found.push(i);
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
  rows.select("td:nth-child(1)").text((i) => rankOf(i));
  rows.select("button").attr("title", (i) => words.word[i]).on("click", (event, i) => choose(i));
  rows.select("bdi").text((i) => words.word[i]);
  rows.select("td:nth-child(3)").text((i) => short(wacOf(i)));
  rows.select("td:nth-child(4)").text((i) => countOf(i));
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
      drawScatter();
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
      if (exact) choose(state.matching[0], "replaceState");
      drawTable();
      drawScatter();
    });
  }
  byId("query").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && state.matching.length) choose(state.matching[0]);
  });
  document.querySelector(".find").addEventListener("submit", (event) => event.preventDefault());
}

/** Show a word; `how` says what becomes of the page's address, so that it can be sent to others. */
function choose(word, how = "pushState") {
  state.word = word;
  address(how, "word", words.word[word]);
  drawTable();
  drawWord();
  markScatter();
}

function address(how, name, value) {
  if (!how) return;
  const seed = state.seed ? `&seed=${data.seeds[state.seed]}` : "";
  try {
    history[how](null, "", `#${name}=${encodeURIComponent(value)}${seed}`);
  } catch {
    // A page inside of another one may have no address of its own.
  }
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
  const count = countOf(word);
  const parts = [
    said("rank", { rank: grouped(rankOf(word)), n: grouped(data.totals.words) }),
    `wac ${short(wacOf(word))}`,
    said(count === 1 ? "times.one" : "times", { n: grouped(count) }),
  ];
  if (words.known) parts.push(said(words.known[word] === "1" ? "known" : "unknown"));
  byId("word-name").textContent = words.word[word];
  byId("word-facts").textContent = parts.join(" · ");
  drawSeeds(word);
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
  // Where no filter chose an occurrence, its saliency is exactly 0.
  curves.lines.forEach((values, i) => {
    values.forEach((v, e) => {
      if (v === 0) svg.append("circle").attr("class", "unchosen").attr("stroke", LINES[i]).attr("cx", x(epochs[e])).attr("cy", y(0)).attr("r", 2.6);
    });
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
    if (curves.lines.some((values) => values.includes(0))) {
      legend.append(() => document.createTextNode(` · ${own("rings")}`));
    }
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
      linked(text.append(mine ? "mark" : "span"), token).text(allWords[token]);
    });
    reachable(text);
    const right = sentences.label[sentence] === sentences.predicted[sentence];
    const note = item.append("small").text(said("labels", { true: data.labels[sentences.label[sentence]] }));
    note.append("span").attr("class", right ? null : "off").text(data.labels[sentences.predicted[sentence]]);
    if (maps.sentence.includes(sentence)) {
      const n = sentences.number[sentence];
      note.append(() => document.createTextNode(" · "));
      note.append("a").attr("href", `#sentence=${n}`).attr("aria-label", own("map.one", { n })).text(own("map"));
    }
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
const mapLogarithm = whole(maps.logarithm, 2);
const armLogarithm = whole(data.arms.logarithm, 2);
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
/** Diverging colours of the standardised scale: below the mean of the sentence, and above it. */
const ABOUT = {
  light: d3.interpolateRgbBasis(["#2f6fb0", "#9cc3e4", "#ffffff", "#fbb266", "#b3500a"]),
  dark: d3.interpolateRgbBasis(["#6fa8dc", "#27496b", "#1c2024", "#8c4a0e", "#f0a050"]),
};
const about = () => (dark.matches && !printing ? ABOUT.dark : ABOUT.light);
// Standardised values beyond it have the colour of its ends.
const FARTHEST = 3;

/** The darkest value of the scale: of all but the highest half per cent. */
let logitShade = null;
function darkest() {
  if (state.scale === "raw") return data.shade;
  if (logitShade === null) {
    const all = d3.range(nMaps).flatMap((m) => maps.epochs.flatMap((_, k) => [...divided(mapOf(m)[k], mapLogarithm[m * maps.epochs.length + k])]));
    logitShade = d3.quantile(all.filter((v) => v > 0), 0.995) || 0;
  }
  return logitShade;
}
const share = (value) => Math.min(1, darkest() ? value / darkest() : 0);
const fill = (value) => (state.scale === "standardised"
  ? about()(0.5 + Math.max(-1, Math.min(1, value / FARTHEST)) / 2) : ramp()(share(value)));

/** Saliency divided by 1 - p: the gradient of the logit difference. */
function divided(values, q) {
  const uncertainty = unlogged(q);
  return uncertainty > 0 ? values.map((v) => v / uncertainty) : values.map(() => 0);
}

/** Saliency of a sentence at one epoch on the chosen scale; `q` is the logarithm of 1 - p. */
function onScale(values, q) {
  if (state.scale === "raw") return values;
  if (state.scale === "logit") return divided(values, q);
  const mean = d3.mean(values);
  const deviation = Math.sqrt(d3.mean(values, (v) => (v - mean) ** 2));
  return values.map((v) => (deviation > 1e-7 * d3.max(values) ? (v - mean) / deviation : 0));
}

function luminance(colour) {
  const { r, g, b } = d3.rgb(colour);
  const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}

/** Background colour of a value, and black or white for the text, whichever has more contrast. */
function shade(value) {
  if (value <= 0 && state.scale !== "standardised") return { background: null, colour: null };
  const background = fill(value);
  return { background, colour: luminance(background) > 0.179 ? "#000000" : "#ffffff" };
}

/** Colour words by `values`; `raw` is their saliency, 0 where no filter chose the word. */
function colour(spans, values, raw) {
  spans.each(function (_, i) {
    const { background, colour: ink } = shade(values[i]);
    d3.select(this).style("background-color", background).style("color", ink)
      .classed("unchosen", raw[i] === 0).attr("title", shown(values[i]));
  });
}

/** A word that has a panel becomes a link to it. */
function linked(element, token) {
  return token < nWords ? element.attr("data-word", token).attr("role", "link").attr("tabindex", -1) : element;
}

/** The first word of a sentence is reached by Tab, the others by arrow keys. */
function reachable(text) {
  text.select("[data-word]").attr("tabindex", 0);
}

function spansOf(parent, sentence) {
  const text = parent.append("p").attr("class", "heat").attr("dir", "auto");
  tokensOf(sentence).forEach((token, i) => {
    if (i) text.append(() => document.createTextNode(" "));
    linked(text.append("span"), token).text(allWords[token]);
  });
  reachable(text);
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

/** Heat maps of sentences with a text: first those correctly classified, then the others. */
function foundMaps() {
  const fits = matcher(byId("map-query").value, (m) => [...tokensOf(maps.sentence[m])]);
  return [d3.range(nCorrect).filter(fits), d3.range(nCorrect, nMaps).filter(fits)];
}

function drawCards() {
  cards = [];
  const found = foundMaps();
  for (const [id, list_of] of [["right", found[0]], ["wrong", found[1]]]) {
    const list = d3.select(`#${id}`);
    list.selectAll("*").remove();
    if (state.first >= list_of.length) {
      const none = byId("map-query").value.trim() ? own("map.none") : said(list_of.length ? "no_more" : "no_sentence");
      list.append("li").attr("class", "none").text(none);
    }
    for (const m of list_of.slice(state.first, state.first + COLUMN)) {
      const item = list.append("li").attr("aria-current", m === state.sentence ? "true" : null);
      const meta = item.append("p").attr("class", "meta");
      const spans = spansOf(item, maps.sentence[m]);
      item.append("button").attr("type", "button").text(said("see"))
        .attr("aria-label", said("see.one", { n: sentences.number[maps.sentence[m]] }))
        .on("click", () => {
          address("pushState", "sentence", sentences.number[maps.sentence[m]]);
          state.sentence = m;
          d3.selectAll("#heatmaps li").attr("aria-current", null);
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
  const most = Math.max(found[0].length, found[1].length);
  byId("shown").textContent = said("range", { first: Math.min(state.first + 1, most), last: Math.min(state.first + COLUMN, most), n: most });
  byId("fewer").disabled = state.first === 0;
  byId("more").disabled = state.first + COLUMN >= most;
}

function drawScale() {
  d3.select("#scale").selectAll("*").remove();
  const both = state.scale === "standardised";
  const [low, high] = both ? [-FARTHEST, FARTHEST] : [0, darkest()];
  byId("scale-says").textContent = own(`scale.${state.scale}`);
  if (!high) return;
  const width = 190;
  const svg = d3.select("#scale").append("svg").attr("width", width + 44).attr("height", 30).attr("role", "img")
    .attr("aria-label", both ? own("colours", { high }) : said("colours", { top: shown(high) }));
  const gradient = svg.append("defs").append("linearGradient").attr("id", "ramp");
  for (const t of d3.range(0, 1.01, 0.1)) gradient.append("stop").attr("offset", t).attr("stop-color", fill(low + t * (high - low)));
  svg.append("rect").attr("x", 16).attr("width", width).attr("height", 10).attr("fill", "url(#ramp)");
  const x = d3.scaleLinear([low, high], [16, 16 + width]);
  svg.append("g").attr("transform", "translate(0,10)").call(
    d3.axisBottom(x).tickValues([low, (low + high) / 2, high]).tickSize(3)
      .tickFormat((v) => (v === high ? "≥ " : both && v === low ? "≤ " : "") + d3.format(both ? "d" : ".3f")(v)),
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
  const mine = tokensOf(s);
  byId("sentence-facts").textContent =
    said("sentence", { n: sentences.number[s], label: data.labels[sentences.label[s]] });
  const values = mapOf(m);
  const height = 17;
  const left = Math.min(130, 14 + 7 * d3.max(mine, (token) => allWords[token].length));
  const width = Math.max(300, byId("raster").parentElement.clientWidth - 4);
  const epochs = maps.epochs;
  const x = d3.scaleBand(d3.range(epochs.length), [left, width]);
  const svg = d3.select("#raster").append("svg").attr("width", width).attr("height", mine.length * height + 26)
    .attr("role", "img").attr("aria-label", said("raster"));
  values.forEach((raw, e) => {
    const row = onScale(raw, mapLogarithm[m * epochs.length + e]);
    row.forEach((value, i) => {
      if (raw[i] === 0) {
        svg.append("circle").attr("class", "unchosen").attr("cx", x(e) + x.bandwidth() / 2).attr("cy", (i + 0.5) * height).attr("r", 1.3);
      }
      if (raw[i] > 0) {
        svg.append("rect").attr("x", x(e)).attr("y", i * height + 1).attr("width", x.bandwidth() + 0.3)
          .attr("height", height - 2).attr("fill", fill(value));
      }
    });
  });
  mine.forEach((token, i) => {
    const name = allWords[token];
    // Not reached by keys: the words of the models beside it are, and lead to the same panel.
    svg.append("text").attr("x", left - 6).attr("y", i * height + 12.5).attr("text-anchor", "end")
      .attr("data-word", token < nWords ? token : null)
      .text(name.length > 16 ? `${name.slice(0, 15)}…` : name);
  });
  const ticks = d3.ticks(epochs[0], epochs.at(-1), Math.min(6, epochs.length)).map((e) => epochs.indexOf(e)).filter((e) => e >= 0);
  svg.append("g").attr("transform", `translate(0,${mine.length * height})`)
    .call(d3.axisBottom(x).tickValues(ticks).tickFormat((e) => epochs[e]).tickSize(3));
  const now = svg.append("rect").attr("class", "now").attr("y", 0).attr("height", mine.length * height).attr("width", x.bandwidth());
  // The frame of the epoch, also where nothing else draws the epoch after this.
  now.attr("x", x(mapEpoch()));
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
    const raw = saliencies(data.arms.saliency, a * total + mapStart[m], mine.length);
    colour(spans, onScale(raw, armLogarithm[a * nMaps + m]), raw);
  });
}

// --- parts that this script adds to the page ------------------------------------------

function labelled(parent, title, tag, attributes) {
  const label = parent.append("label").text(`${title} `);
  const control = label.append(tag);
  for (const [name, value] of Object.entries(attributes)) control.attr(name, value);
  return control;
}

function selection(parent, title, id, values, name) {
  const control = labelled(parent, title, "select", { id });
  for (const value of values) control.append("option").attr("value", value).text(name(value));
  return control;
}

const CHOICE_PAGE = 8;
const chosen = { page: 0, found: [], current: -1 };

function prepareParts() {
  const wordList = d3.select(".explorer");
  const scatter = d3.select(wordList.node().parentElement).insert("div", ".explorer").attr("class", "scatter");
  scatter.append("h3").text(own("scatter.title"));
  scatter.append("p").attr("class", "legend").text(own("scatter.about"));
  scatter.append("div").attr("id", "scatter");
  scatter.append("p").attr("class", "readout").attr("id", "scatter-says").text(own("scatter.none"));

  const facts = d3.select(byId("word-facts").parentElement);
  facts.insert("p", "#chart").attr("class", "legend").attr("id", "word-seeds");
  const ways = facts.insert("p", "#chart").attr("class", "ways");
  ways.append("button").attr("type", "button").attr("id", "to-choice").text(own("to.choice")).on("click", () => {
    byId("choice-query").value = `"${words.word[state.word]}"`;
    searchChoice();
    byId("choice").scrollIntoView();
    byId("choice-query").focus({ preventScroll: true });
  });
  ways.append("a").attr("id", "word-link").text(own("link"));

  const section = d3.create("section").attr("aria-labelledby", "choice");
  section.append("h2").attr("id", "choice").text(own("choice.title"));
  section.append("p").text(own("choice.about"));
  section.append("p").attr("id", "choice-kept");
  section.append("div").attr("id", "scores");
  const form = section.append("form").attr("class", "find").attr("role", "search").attr("aria-label", own("choice.title"));
  form.on("submit", (event) => event.preventDefault());
  labelled(form, own("choice.find"), "input", { type: "search", id: "choice-query", autocomplete: "off", spellcheck: "false" });
  form.select("label").attr("class", "query");
  selection(form, own("choice.half"), "choice-half", ["", "h", "l"], (v) => own(`choice.half.${v}`));
  const orders = ["high", "low", "median", ...(choice.all > 1 ? ["often"] : [])];
  selection(form, own("choice.sort"), "choice-sort", orders, (v) => own(`choice.sort.${v}`));
  form.append("span").attr("class", "scale").attr("id", "wac-scale");
  section.append("p").attr("class", "found").attr("role", "status").attr("id", "choice-found");
  section.append("ol").attr("class", "cards-list").attr("id", "choice-list");
  const pager = section.append("div").attr("class", "pager");
  for (const [id, title, step] of [["choice-before", "previous", -1], ["choice-after", "next", 1]]) {
    if (step > 0) pager.append("span").attr("id", "choice-page");
    pager.append("button").attr("type", "button").attr("id", id).text(own(title)).on("click", () => {
      chosen.page += step;
      drawChoice();
    });
  }
  document.querySelector("section[aria-labelledby=words]").after(section.node());
  const entry = d3.create("li");
  entry.append("a").attr("href", "#choice").text(own("choice.nav"));
  document.querySelector('nav a[href="#words"]').parentElement.after(entry.node());

  if (nSeeds > 1) {
    for (const parent of [d3.select(".explorer .find"), form]) {
      const control = labelled(parent, own("seed"), "select", { class: "seed" });
      data.seeds.forEach((seed, i) => control.append("option").attr("value", i).text(seed));
      control.on("input", () => setSeed(Number(control.node().value)));
    }
  }
  for (const id of ["choice-query", "choice-half", "choice-sort"]) byId(id).addEventListener("input", searchChoice);

  const heat = d3.select("#heatmaps").insert("form", ":first-child").attr("class", "find");
  heat.on("submit", (event) => event.preventDefault());
  const field = heat.append("fieldset").attr("class", "switch");
  field.append("legend").text(own("scale"));
  for (const name of ["raw", "standardised", "logit"]) {
    const label = field.append("label");
    label.append("input").attr("type", "radio").attr("name", "scale").attr("value", name)
      .property("checked", name === "raw").on("input", () => setScale(name));
    label.append("span").text(own(`scale.name.${name}`));
  }
  const find = labelled(heat, own("map.find"), "input", { type: "search", id: "map-query", autocomplete: "off", spellcheck: "false" });
  d3.select(find.node().parentElement).attr("class", "query");
  byId("map-query").addEventListener("input", () => {
    state.first = 0;
    drawCards();
    drawNow();
  });
  d3.select("#heatmaps").insert("p", ".controls").attr("class", "legend").attr("id", "scale-says");

  // Words that occur often enough come first, where a page has them.
  const least = byId("least");
  if (d3.range(nWords).filter((i) => words.count[i] >= 5).length >= PAGE) least.value = 5;

  // A word in a sentence leads to its panel; arrow keys go from word to word.
  document.querySelector("main").addEventListener("click", (event) => {
    const word = event.target.closest("[data-word]");
    if (word) toWord(Number(word.dataset.word));
  });
  document.querySelector("main").addEventListener("keydown", (event) => {
    const word = event.target.closest("[data-word]");
    if (!word) return;
    if (event.key === "Enter") toWord(Number(word.dataset.word));
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = [...word.parentElement.querySelectorAll("[data-word]")];
    const next = all[all.indexOf(word) + step];
    if (!next) return;
    word.setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
    event.preventDefault();
  });
  searchChoice();
}

function toWord(word, how) {
  choose(word, how);
  byId("word").scrollIntoView({ block: "start" });
}

function setScale(name) {
  state.scale = name;
  drawScale();
  drawSentence();
  drawNow();
}

function setSeed(seed) {
  state.seed = seed;
  for (const control of document.querySelectorAll("select.seed")) control.value = seed;
  match();
  drawTable();
  drawScatter();
  drawWord();
  searchChoice();
}

function drawSeeds(word) {
  byId("word-link").href = `#word=${encodeURIComponent(words.word[word])}`;
  byId("word-link").setAttribute("aria-label", own("link.word", { word: words.word[word] }));
  byId("word-seeds").hidden = nSeeds === 1;
  const list = data.seeds.map((seed, i) => {
    const rank = i ? furtherRanks[(i - 1) * nWords + word] : words.rank[word];
    return rank ? own("seeds.one", { seed, wac: short(wacIn(word, i)), rank: grouped(rank) }) : own("seeds.absent", { seed });
  });
  byId("word-seeds").textContent = `${own("seeds.word", { list: list.join(" · ") })} ${own("seeds.curves", { seed: data.seed })}`;
}

/** What a search field asks of a sentence: letters in its text, or a whole word in quotation marks. */
function matcher(query, tokensAt) {
  const wanted = query.trim().toLowerCase();
  if (!wanted) return () => true;
  const quoted = wanted.length > 2 && wanted.startsWith('"') && wanted.endsWith('"') ? wanted.slice(1, -1) : null;
  return (s) => {
    const own_words = tokensAt(s).map((token) => allWords[token].toLowerCase());
    return quoted === null ? own_words.join(" ").includes(wanted) : own_words.includes(quoted) || own_words.includes(wanted);
  };
}

// --- frequency against instability ------------------------------------------------------

let dots = null;

function drawScatter() {
  const host = d3.select("#scatter");
  host.selectAll("*").remove();
  const width = Math.max(280, host.node().clientWidth);
  const height = Math.round(Math.min(330, Math.max(230, width * 0.42)));
  const margin = { top: 22, right: 12, bottom: 34, left: 48 };
  const all = d3.range(nWords).filter((i) => rankOf(i));
  const positive = all.map(wacOf).filter((wac) => wac > 0);
  if (!positive.length) return;
  const [low, high] = d3.extent(positive);
  // The lowest words of a corpus hardly move: they would leave no room for the others.
  const floor = Math.max(low, high / 1e7);
  const x = d3.scaleLog([0.8, 1.2 * d3.max(all, countOf)], [margin.left, width - margin.right]);
  const y = d3.scaleLog([floor / 1.5, high * 1.3], [height - margin.bottom, margin.top]);
  // Words of equal count beside one another: a golden share of the width of a small step.
  const beside = (i) => (((i * 0.618034) % 1) - 0.5) * Math.min(9, (x(2) - x(1)) * 0.5);
  dots = all.map((i) => ({ i, x: x(countOf(i)) + beside(i), y: y(Math.max(floor, wacOf(i))) }));
  const style = getComputedStyle(document.documentElement);
  host.style("height", `${height}px`);
  const canvas = host.append("canvas").attr("role", "img").attr("aria-label", own("scatter.label", { n: grouped(all.length) }));
  const dense = window.devicePixelRatio || 1;
  canvas.attr("width", width * dense).attr("height", height * dense).style("width", `${width}px`).style("height", `${height}px`);
  const pen = canvas.node().getContext("2d");
  pen.scale(dense, dense);
  const listed = new Set(state.matching);
  for (const full of [false, true]) {
    pen.fillStyle = style.getPropertyValue(full ? "--mean" : "--soft");
    pen.globalAlpha = full ? 0.7 : 0.16;
    for (const dot of dots) {
      if (listed.has(dot.i) !== full) continue;
      pen.beginPath();
      pen.arc(dot.x, dot.y, full ? 2.2 : 1.6, 0, 2 * Math.PI);
      pen.fill();
    }
  }
  const svg = host.append("svg").attr("width", width).attr("height", height).attr("aria-hidden", "true");
  svg.append("g").attr("transform", `translate(0,${height - margin.bottom})`)
    .call(d3.axisBottom(x).ticks(Math.min(6, width / 90), "~s").tickSizeOuter(0));
  svg.append("g").attr("transform", `translate(${margin.left},0)`).call(d3.axisLeft(y).ticks(5, "~e").tickSizeOuter(0));
  svg.append("text").attr("class", "axis").attr("x", width - margin.right).attr("y", height - 2).attr("text-anchor", "end").text(own("scatter.x"));
  svg.append("text").attr("class", "axis").attr("x", 0).attr("y", 12).text(own("scatter.y"));
  // The most unstable words of the table by name, where there is room.
  const taken = [];
  const at = new Map(dots.map((dot) => [dot.i, dot]));
  for (const i of d3.sort(state.matching, SORTS.rank).slice(0, 40)) {
    const dot = at.get(i);
    const name = words.word[i];
    const box = { x: dot.x, y: dot.y, w: 14 + 6.6 * name.length };
    if (name.length > 14 || box.x + box.w > width || taken.length >= 9) continue;
    if (taken.some((other) => Math.abs(other.y - box.y) < 13 && box.x < other.x + other.w && other.x < box.x + box.w)) continue;
    taken.push(box);
    svg.append("text").attr("class", "name").attr("x", dot.x + 5).attr("y", dot.y + 4).text(name);
  }
  svg.append("circle").attr("class", "current").attr("r", 6);
  const tree = d3.quadtree(dots, (dot) => dot.x, (dot) => dot.y);
  const under = (event) => tree.find(...d3.pointer(event, host.node()), 14);
  host.on("pointermove", (event) => {
    const dot = under(event);
    byId("scatter-says").textContent = dot
      ? own("scatter.at", { word: words.word[dot.i], n: grouped(countOf(dot.i)), wac: short(wacOf(dot.i)) }) : own("scatter.none");
    host.style("cursor", dot ? "pointer" : null);
  }).on("click", (event) => {
    const dot = under(event);
    if (dot) choose(dot.i);
  });
  markScatter();
}

function markScatter() {
  const dot = dots && dots.find((one) => one.i === state.word);
  const ring = d3.select("#scatter .current").attr("visibility", dot ? null : "hidden");
  if (dot) ring.attr("cx", dot.x).attr("cy", dot.y);
}

// --- the choice among T2 -----------------------------------------------------------------

const nChoice = choice.number.length;
const choiceStart = [0];
for (const length of choice.length) choiceStart.push(choiceStart.at(-1) + length);
const choiceTokens = whole(choice.tokens, 3);
const choiceTokensOf = (s) => [...choiceTokens.subarray(choiceStart[s], choiceStart[s + 1])];
const scoreLevels = whole(choice.score, 2);
const scoreOf = (s) => choice.top * (scoreLevels[state.seed * nChoice + s] / data.levels) ** 2;
const halfOf = (s) => choice.half[state.seed * nChoice + s];
const placeOfNumber = new Map(choice.number.map((n, s) => [n, s]));

/** Sentences of the page that are in T2 of the seed, the highest A_S first. */
function inT2() {
  const all = d3.range(nChoice).filter((s) => halfOf(s) !== "-");
  return state.seed ? d3.sort(all, (s) => -scoreOf(s)) : all;
}

function searchChoice() {
  const half = byId("choice-half").value;
  const fits = matcher(byId("choice-query").value, choiceTokensOf);
  const found = inT2().filter((s) => (!half || halfOf(s) === half) && fits(s));
  const often = (s) => choice.in_h[s] / choice.in_t2[s];
  const middle = median();
  const order = {
    high: () => found,
    low: () => found.reverse(),
    median: () => d3.sort(found, (s) => Math.abs(scoreOf(s) - middle)),
    often: () => d3.sort(found, (s) => -often(s), (s) => -choice.in_t2[s]),
  }[byId("choice-sort").value];
  chosen.found = order();
  chosen.page = 0;
  drawScores();
  drawChoice();
}

/** Where the halves meet. */
function median() {
  const all = inT2();
  const high = d3.min(all.filter((s) => halfOf(s) === "h"), scoreOf);
  const low = d3.max(all.filter((s) => halfOf(s) === "l"), scoreOf);
  return ((high ?? low ?? 0) + (low ?? high ?? 0)) / 2;
}

function drawScores() {
  const host = d3.select("#scores");
  host.selectAll("*").remove();
  const all = inT2();
  if (!all.length || !choice.top) return;
  const width = Math.max(280, host.node().clientWidth);
  const height = 96;
  const top = 1.02 * d3.max(all, scoreOf) || 1;
  const x = d3.scaleSqrt([0, top], [8, width - 12]);
  const edges = d3.range(1, 60).map((i) => x.invert(8 + (i * (width - 20)) / 60));
  const bins = d3.bin().value(scoreOf).domain([0, top]).thresholds(edges)(all);
  const y = d3.scaleLinear([0, d3.max(bins, (bin) => bin.length)], [height - 34, 6]);
  const middle = median();
  const svg = host.append("svg").attr("width", width).attr("height", height).attr("role", "img")
    .attr("aria-label", own("choice.scores", { n: grouped(all.length), median: short(middle) }));
  for (const bin of bins) {
    const low = bin.filter((s) => halfOf(s) !== "h").length;
    const left = x(bin.x0);
    const wide = Math.max(1, x(bin.x1) - left - 1);
    svg.append("rect").attr("class", "low").attr("x", left).attr("width", wide).attr("y", y(low)).attr("height", y(0) - y(low));
    svg.append("rect").attr("class", "high").attr("x", left).attr("width", wide).attr("y", y(bin.length)).attr("height", y(low) - y(bin.length));
  }
  svg.append("line").attr("class", "now").attr("x1", x(middle)).attr("x2", x(middle)).attr("y1", 0).attr("y2", height - 34);
  svg.append("g").attr("transform", `translate(0,${height - 34})`).call(d3.axisBottom(x).ticks(Math.min(6, width / 110)).tickFormat((v) => (v ? d3.format("~e")(v) : "0")).tickSizeOuter(0));
  svg.append("text").attr("x", 8).attr("y", height - 2).text(own("choice.axis"));
  if (chosen.current >= 0 && halfOf(chosen.current) !== "-") {
    svg.append("path").attr("class", "here").attr("d", `M${x(scoreOf(chosen.current))} ${height - 35}l-5 -8h10z`);
  }
}

const wacShare = (wac) => Math.sqrt(Math.min(1, choice.shade ? wac / choice.shade : 0));

function drawChoice() {
  const found = chosen.found;
  const pages = Math.max(1, Math.ceil(found.length / CHOICE_PAGE));
  const kept = nChoice === choice.total ? own("choice.all", { total: grouped(choice.total) })
    : own("choice.some", { n: grouped(nChoice), total: grouped(choice.total) });
  byId("choice-kept").textContent = [
    kept,
    choice.all > 1 ? own("choice.seeds", { all: choice.all }) : "",
    state.seed ? own("choice.further", { seed: data.seeds[0] }) : "",
  ].join(" ");
  byId("choice-found").textContent = found.length
    ? own(found.length === 1 ? "choice.found.one" : "choice.found", { n: grouped(found.length) }) : own("choice.found.none");
  const list = d3.select("#choice-list");
  list.selectAll("*").remove();
  for (const s of found.slice(chosen.page * CHOICE_PAGE, (chosen.page + 1) * CHOICE_PAGE)) {
    const n = choice.number[s];
    const item = list.append("li").attr("aria-current", s === chosen.current ? "true" : null).attr("data-sentence", n);
    const meta = item.append("p").attr("class", "meta");
    const half = halfOf(s);
    meta.append("strong").attr("class", `half ${half}`).text(half === "m" ? own("choice.middle") : `T2${half}`);
    let facts = ` · ${own("choice.facts", { score: short(scoreOf(s)), label: data.labels[choice.label[s]] })}`;
    if (!state.seed) facts += own("choice.rank", { rank: grouped(choice.rank[s]), n: grouped(choice.total) });
    if (choice.all > 1) facts += own("choice.often", { h: choice.in_h[s], n: choice.in_t2[s] });
    meta.append("span").text(`${facts} · `);
    meta.append("a").attr("href", `#sentence=${n}`).attr("aria-label", own("link.sentence", { n })).text(own("link"));
    const text = item.append("p").attr("class", "heat").attr("dir", "auto");
    choiceTokensOf(s).forEach((token, i) => {
      if (i) text.append(() => document.createTextNode(" "));
      const wac = wacOf(token);
      const span = linked(text.append("span"), token).text(allWords[token]);
      if (Number.isNaN(wac)) span.attr("class", "absent").attr("title", own("absent"));
      else {
        const background = ramp()(wacShare(wac));
        span.style("background-color", background).style("color", luminance(background) > 0.179 ? "#000000" : "#ffffff")
          .attr("title", `wac ${short(wac)}`);
      }
    });
    reachable(text);
  }
  byId("choice-page").textContent = said("of", { i: chosen.page + 1, n: grouped(pages) });
  byId("choice-before").disabled = chosen.page === 0;
  byId("choice-after").disabled = chosen.page >= pages - 1;
  drawWacScale();
}

function drawWacScale() {
  const host = d3.select("#wac-scale");
  host.selectAll("*").remove();
  if (!choice.shade) return;
  const width = 120;
  const svg = host.append("svg").attr("width", width + 70).attr("height", 30).attr("role", "img")
    .attr("aria-label", `${own("choice.wac")}: 0 … ${short(choice.shade)}`);
  d3.range(24).forEach((i) => {
    svg.append("rect").attr("x", 4 + i * (width / 24)).attr("width", width / 24 + 0.3).attr("height", 10).attr("fill", ramp()((i + 0.5) / 24));
  });
  svg.append("text").attr("x", 4).attr("y", 25).text("wac 0");
  svg.append("text").attr("x", width + 4).attr("y", 25).attr("text-anchor", "middle").text(`≥ ${short(choice.shade)}`);
}

// --- addresses -----------------------------------------------------------------------------

/** Show the word or the sentence that the address names: #word=great, #sentence=123, &seed=1. */
function follow() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const seed = data.seeds.indexOf(Number(asked.get("seed") ?? data.seeds[0]));
  const named = asked.has("word") || asked.has("sentence");
  if (named && seed >= 0 && seed !== state.seed) setSeed(seed);
  if (asked.has("word")) {
    const word = words.word.indexOf(asked.get("word"));
    if (word >= 0) toWord(word, null);
    else {
      byId("query").value = asked.get("word");
      match();
      drawTable();
      byId("words").scrollIntoView();
    }
  }
  if (asked.has("sentence")) toSentence(Number(asked.get("sentence")));
}

function toSentence(number) {
  const m = maps.sentence.findIndex((s) => sentences.number[s] === number);
  if (m >= 0) {
    byId("map-query").value = "";
    state.sentence = m;
    state.first = Math.floor((m < nCorrect ? m : m - nCorrect) / COLUMN) * COLUMN;
    drawCards();
    drawSentence();
    drawNow();
    byId("sentence").scrollIntoView({ block: "start" });
    return;
  }
  const s = placeOfNumber.get(number);
  if (s === undefined || halfOf(s) === "-") return;
  byId("choice-query").value = "";
  byId("choice-half").value = "";
  chosen.current = s;
  searchChoice();
  chosen.page = Math.floor(chosen.found.indexOf(s) / CHOICE_PAGE);
  drawChoice();
  document.querySelector(`#choice-list [data-sentence="${number}"]`).scrollIntoView({ block: "center" });
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
    const at = m * maps.epochs.length + k;
    const raw = mapOf(m)[k];
    const values = onScale(raw, mapLogarithm[at]);
    colour(spans, values, raw);
    showLabels(meta, sentences.label[maps.sentence[m]], predicted[at], 1 - uncertainty[at] / data.levels);
    const mine = tokensOf(maps.sentence[m]);
    const order = d3.sort(d3.range(mine.length), (i) => -values[i]).slice(0, 3);
    strongest.text(said("strongest", { words: order.map((i) => `${allWords[mine[i]]} ${shown(values[i])}`).join(", ") }));
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
  drawScatter();
  drawChoice();
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
prepareParts();
prepareTable();
match();
// Start with the most unstable word that occurs ten times or more and has a spread.
const often = d3.range(nWords).filter((i) => details.has(i) && words.count[i] >= 10);
choose(d3.least(often.length ? often : d3.range(nWords), SORTS.rank), null);
drawAll();
follow();
addEventListener("hashchange", follow);
addEventListener("popstate", follow);

let width = 0;
new ResizeObserver(() => {
  // Drawing changes the height of the page: redraw only if the width changed.
  if (document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  drawScatter();
  drawScores();
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
