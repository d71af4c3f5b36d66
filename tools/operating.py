"""How often verdicts are wrong, and how often they are found: a table by simulation.

Usage: python tools/operating.py [--trials N]

Tables of seeds are drawn with the covariance that the committed seeds have, around
truths that we choose, and judged by the rule of ``replicate.claims``.  The outcome is
``results/operating.csv``: for every truth, number of seeds and claim, the share of
tables with each verdict, and the share in which a verdict of any part is wrong; rows
``headline`` and ``rest`` have the latter for a whole family.

Truths: the paper is right; its effects are half as large; there is no effect; no effect,
and all models fall alike by 0.7 points after epoch 20; the effects are reversed.

Seeds: 20, 50, 200, and ``sequential``, where one looks after every seed from 50 to 400
and stops when all claims are decided (``replicate run --until decided``).

Draws: ``normal``, and ``resampled``, which draws whole committed seeds again, so that
their tails are kept.
"""

import argparse
from pathlib import Path

import numpy as np

from replicate.claims import CLAIMS, VERDICTS, Part, family_alpha
from replicate.config import ARMS, PAPER, generator
from replicate.inference import confidence_sequence, mean_interval
from replicate.io.files import read_csv, save_csv
from replicate.results import read_accuracies
from replicate.statistics import accuracy_statistics
from replicate.verdicts import LEAST_SEEDS
from replicate.verdicts import column as column_of

RESULTS = Path(__file__).resolve().parents[1] / "results"
RUNS = ("calibrated-googlenews-31530", "as-written-googlenews-31530")
TRUTHS = ("paper right", "half of it", "no effect", "all fall alike", "reversed")
SEEDS = (20, 50, 200)
MOST_SEEDS = 400
#: Points that all models lose over epochs 20-50 where all fall alike.
FALL = 0.007
HEADER = ("draws", "truth", "seeds", "claim", "right", *VERDICTS, "wrong", "seeds_used")


# --- what the committed seeds are like ---------------------------------------------------


def committed_rows(name, results=RESULTS):
    """Statistics of the seeds of a committed run; those of accuracies from its curves."""
    place = results / name / "statistics.csv"
    header = place.read_text(encoding="utf-8").splitlines()[0].split(",")
    rows = {int(row["seed"]): row for row in read_csv(place, header, dict.fromkeys(header, float))}
    for seed, curves in committed_curves(name, results).items():
        rows[seed].update(accuracy_statistics(curves))
    return list(rows.values())


def committed_curves(name, results=RESULTS):
    """Accuracies of a committed run: seed -> arm -> (epochs, 2) of epoch, accuracy."""
    return read_accuracies(results / name)


def effects_of(parts, table):
    """(seeds, parts) effects."""
    return np.column_stack([part.effects(column_of(table, part.statistic)) for part in parts])


def residuals(results=RESULTS):
    """Parts that the committed runs have, and their seeds' deviations from the mean of their run."""
    parts = [part for claim in CLAIMS for part in claim.parts]
    tables = [effects_of(parts, committed_rows(name, results)) for name in RUNS]
    have = [i for i in range(len(parts)) if all(np.isfinite(t[:, i]).all() for t in tables)]
    centred = np.concatenate([t[:, have] - t[:, have].mean(axis=0) for t in tables])
    # Each run's mean took a degree of freedom.
    centred *= np.sqrt(len(centred) / (len(centred) - len(tables)))
    return [parts[i] for i in have], centred


# --- truths ------------------------------------------------------------------------------


def paper_curves():
    """Accuracies of the arms as the paper describes them (6.2)."""
    epochs = np.arange(1, PAPER["epochs"] + 1, dtype=float)
    late = (epochs >= 40) & (epochs <= 50)
    falling = np.maximum(0, epochs - 20)
    falling *= 0.02 / falling[late].mean()
    early = 0.01 * np.clip((30 - epochs) / 10, 0, 1)
    return {
        "T1": np.full(len(epochs), 0.74),
        "T2h": 0.75 + early,
        "T2l": np.full(len(epochs), 0.75),
        "T1andT2h": 0.78 - falling,
        "T1andT2l": 0.77 - falling,
        "T1andT2ran": 0.77 - falling,
        "T1andT2": np.full(len(epochs), 0.78),
    }


def truth(name, parts):
    """(parts,) true effects."""
    factor = {"paper right": 1.0, "half of it": 0.5, "reversed": -1.0}.get(name, 0.0)
    epochs = np.arange(1, PAPER["epochs"] + 1)
    common = FALL * np.maximum(0, epochs - 20) / 30 if name == "all fall alike" else 0.0
    curves = {
        arm: np.column_stack([epochs, 0.75 + factor * (paper_curves()[arm] - 0.75) - common])
        for arm in ARMS
    }
    row = accuracy_statistics(curves)
    found = effects_of(parts, [row])[0]
    # No curve has saliency: twice the smallest effect of interest stands for the paper's.
    of_saliency = factor * 2 * np.array([part.smallest for part in parts])
    return np.where(np.isfinite(found), found, of_saliency)


def wrong(part: Part, verdicts, effect):
    """Which verdicts say what is not true of an effect."""
    small, tiny = part.smallest, 1e-9
    true = {
        "reproduced": effect >= small - tiny,
        "weaker": 0 < effect < (part.reported or np.inf) + tiny,
        "direction only": effect > 0,
        "no such effect": abs(effect) < small - tiny,
        "reversed": effect < 0,
        "alike": abs(effect) <= small + tiny,
        "not alike": abs(effect) >= small - tiny,
        "undecided": True,
    }
    return np.isin(verdicts, [word for word, holds in true.items() if not holds])


# --- simulation --------------------------------------------------------------------------


def drawn(residual, seeds, trials, random, kind):
    """(trials, seeds, parts) deviations of made-up seeds."""
    n = len(residual)
    if kind == "resampled":
        return residual[random.randint(0, n, (trials, seeds))]
    return random.standard_normal((trials, seeds, n)) @ (residual / np.sqrt(n))


def families(parts):
    """Family and claim of every part."""
    of = {part: claim for claim in CLAIMS for part in claim.parts}
    return [of[part] for part in parts]


def judged(parts, owners, mean, deviation, seeds, interval):
    """(..., parts) verdicts."""
    words = np.empty(mean.shape, dtype="U14")
    for i, (part, claim) in enumerate(zip(parts, owners)):
        bounds = interval(mean[..., i], deviation[..., i], seeds, family_alpha(claim.family))
        words[..., i] = part.verdict(*bounds)
    return np.where((np.asarray(seeds) >= LEAST_SEEDS)[..., None], words, "undecided")


def of_claim(words, counted):
    """The worst verdict of the parts that count."""
    order = np.array(VERDICTS)
    codes = np.argmax(words[..., counted, None] == order, axis=-1)
    worst = codes.min(axis=-1)
    # One that is alike in part and reproduced in part is reproduced.
    both = (worst == VERDICTS.index("alike")) & (codes == VERDICTS.index("reproduced")).any(axis=-1)
    return np.where(both, "reproduced", order[worst])


def fixed(parts, residual, effects, seeds, trials, random, kind):
    """(trials, parts) verdicts at a number of seeds, and these numbers."""
    owners, made = families(parts), []
    for _ in range(0, trials, 100):
        values = drawn(residual, seeds, min(trials, 100), random, kind)
        mean, deviation = values.mean(axis=1) + effects, values.std(axis=1, ddof=1)
        made.append(
            judged(parts, owners, mean, deviation, np.full(len(mean), seeds), mean_interval)
        )
    words = np.concatenate(made)[:trials]
    return words, np.full(len(words), seeds), None


def sequential(parts, residual, effects, trials, random, kind):
    """Verdicts where one stops when all is decided, the seeds used, and which were ever wrong."""
    owners = families(parts)
    n = np.arange(1, MOST_SEEDS + 1)
    looks = n[LEAST_SEEDS - 1 :]
    counted = [i for i, part in enumerate(parts) if not part.beside]
    stopped, used, ever = [], [], []
    for _ in range(0, trials, 25):
        values = drawn(residual, MOST_SEEDS, min(trials, 25), random, kind)
        total, squares = values.cumsum(axis=1), (values**2).cumsum(axis=1)
        at = looks - 1
        mean = total[:, at] / looks[:, None]
        variance = (squares[:, at] - looks[:, None] * mean**2) / (looks[:, None] - 1)
        words = judged(parts, owners, mean + effects, np.sqrt(variance), looks, confidence_sequence)
        open_ = (words[..., counted] == "undecided").any(axis=-1)
        stop = np.where(open_.all(axis=1), len(looks) - 1, np.argmin(open_, axis=1))
        stopped.append(words[np.arange(len(words)), stop])
        used.append(looks[stop])
        bad = [wrong(part, words[..., i], effects[i]) for i, part in enumerate(parts)]
        ever.append(np.stack(bad, axis=-1).any(axis=1))
    return np.concatenate(stopped)[:trials], np.concatenate(used)[:trials], np.concatenate(ever)


def rows_of(kind, name, seeds, trials, parts, residual):
    """Rows of the table for one truth and number of seeds."""
    random = generator(f"operating {kind} {name} {seeds}", 0)
    effects = truth(name, parts)
    if seeds == "sequential":
        words, used, ever = sequential(parts, residual, effects, trials, random, kind)
    else:
        words, used, ever = fixed(parts, residual, effects, seeds, trials, random, kind)
    if ever is None:
        bad = [wrong(part, words[:, i], effects[i]) for i, part in enumerate(parts)]
        ever = np.stack(bad, axis=-1)
    owners = families(parts)
    about, rows = (kind, name, seeds), []
    for claim in dict.fromkeys(owners):
        mine = [i for i, owner in enumerate(owners) if owner is claim]
        counted = [i for i in mine if not parts[i].beside]
        found = of_claim(words, counted)
        # What an interval without width would give.
        exact = np.array([[str(parts[i].verdict(effects[i], effects[i])) for i in counted]])
        right = str(of_claim(exact, list(range(len(counted))))[0])
        shares = [float((found == word).mean()) for word in VERDICTS]
        rows.append((*about, claim.id, right, *shares, float(ever[:, mine].any(axis=1).mean()),
                     float(used.mean())))  # fmt: skip
    for family in ("headline", "rest"):
        mine = [i for i, owner in enumerate(owners) if owner.family == family]
        share = float(ever[:, mine].any(axis=1).mean())
        rows.append((*about, family, "", *[""] * len(VERDICTS), share, float(used.mean())))
    return rows


def main(trials=2000, out=RESULTS / "operating.csv"):
    """Write the table."""
    parts, residual = residuals()
    rows = []
    for kind in ("normal", "resampled"):
        for name in TRUTHS:
            for seeds in (*SEEDS, "sequential"):
                times = trials if seeds != "sequential" else trials // 4
                rows += rows_of(kind, name, seeds, times, parts, residual)
    save_csv(out, HEADER, rows)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--trials", type=int, default=2000)
    main(arguments.parse_args().trials)
