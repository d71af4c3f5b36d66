"""Numbers and verdicts in words, as the terminal and the report show them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..claims import VERDICTS, Part
from ..config import PAPER
from ..verdicts import Judged, Verdict

__all__ = [
    "deciding",
    "epochs_note",
    "seeds_counted",
    "seeds_note",
    "sentence",
    "shown_number",
    "shown_range",
]


def seeds_counted(count: int) -> str:
    """So many seeds.

    Example:
        >>> seeds_counted(1), seeds_counted(200)
        ('1 seed', '200 seeds')
    """
    return f"{count} seed{'s' if count > 1 else ''}"


def shown_number(part: Part, value: float) -> str:
    """A number of a part in its own unit: points, an accuracy, times, per cent.

    Example:
        >>> shown_number(Part("h less l", "H.mean", "lead of T1andT2h"), 0.0011)
        '+0.11 points'
        >>> shown_number(Part("a share", "F5.share", "most epochs", scale="share"), 0.935)
        '94 %'
    """
    if not np.isfinite(value):
        return "–"
    if part.scale == "points":
        # No minus before zero.
        return f"{round(100 * value, 2) + 0.0:+.2f} points"
    if part.scale == "level":
        return f"{value:.3f}"
    if part.scale in ("ratio", "log ratio"):
        return f"{value:.2f} times"
    if part.scale in ("share", "early share"):
        return f"{100 * value:.0f} %"
    return f"{value:+.3f}"


def shown_range(part: Part, low: float, high: float) -> str:
    """An interval of a part in its own unit, which stands once.

    Example:
        >>> shown_range(Part("h less l", "H.mean", "lead of T1andT2h"), -0.002, 0.0011)
        '-0.20 … +0.11 points'
    """
    if not np.isfinite([low, high]).all():
        return "–"
    number, _, unit = shown_number(part, high).partition(" ")
    return f"{shown_number(part, low).partition(' ')[0]} … {number} {unit}".strip()


#: What a verdict means, and the other sentences about one.
PHRASES = {
    "reproduced": "On average the effect is there, and large enough to matter.",
    "weaker": "On average the effect is there, but smaller than the paper reports.",
    "direction only": "On average the effect has the paper's direction; its size is open.",
    "no such effect": "On average an effect that is large enough to matter is excluded.",
    "reversed": "On average the effect goes the other way.",
    "alike": "On average they are alike.",
    "not alike": "On average they are not alike.",
    "mean": "The mean{title} is {mean}; with 95 % certainty it lies in {interval}.",
    "title": " ({title})",
    "alike would be": "Alike would be {interval}.",
    "paper": "The paper reports {figure}; {least} is the least that matters.",
    "no figure": "{least} is the least that matters.",
    "one run": "{hits} of {runs} single runs shows the claim, so {share} of all such runs would.",
    "runs": "{hits} of {runs} single runs show the claim, so {share} of all such runs would.",
    "share": "{low} to {high} %",
    "reason": "{reason}.",
    "between": " ",
}


def deciding(verdict: Verdict) -> Judged:
    """The part that decides a claim: the worst, and of equally bad ones the one with the least effect.

    Args:
        verdict: of a claim that has parts.

    Example:
        >>> from replicate.verdicts import judge
        >>> deciding(judge([])[-1]).part.title
        'epochs 40-50'
    """
    counted = [judged for judged in verdict.parts if not judged.part.beside]
    return min(counted, key=lambda p: (VERDICTS.index(p.verdict), p.on_scale[0] / p.part.smallest))


def sentence(
    verdict: Verdict,
    phrases: Mapping[str, str] = PHRASES,
    translated: Callable[[str], str] = str,
) -> str:
    """What was found, how sure it is, and what one run could have shown, in words.

    Of several parts the one that decides is named.

    Args:
        verdict: of :func:`judge`.
        phrases: the sentences, in another language too.
        translated: a reason, a title or a number in that language.

    Example:
        >>> from replicate.verdicts import judge
        >>> sentence(judge([])[0])
        'Undecided: not measured.'
    """
    words = translated(verdict.reason or verdict.verdict)
    reason = phrases["reason"].format(reason=f"{words[0].upper()}{words[1:]}")
    if not verdict.parts or verdict.verdict == "not applicable" or not verdict.seeds:
        return reason
    judged = deciding(verdict)
    part = judged.part

    def number(value: float) -> str:
        return translated(shown_number(part, value))

    def interval(low: float, high: float) -> str:
        return translated(shown_range(part, low, high))

    said = [reason if verdict.reason else phrases[verdict.verdict]]
    title = ""
    if len(verdict.parts) > 1:
        title = phrases["title"].format(title=translated(part.title))
    said.append(
        phrases["mean"].format(
            title=title, mean=number(judged.mean), interval=interval(judged.low, judged.high)
        )
    )
    low, high = map(float, part.shown(np.array([-part.smallest, part.smallest])))
    if part.alike:
        said.append(phrases["alike would be"].format(interval=interval(low, high)))
    elif part.reported:
        figure = number(float(part.shown(part.reported)))
        said.append(phrases["paper"].format(figure=figure, least=number(high)))
    else:
        said.append(phrases["no figure"].format(least=number(high)))
    if verdict.runs:
        bounds = (f"{100 * bound:.0f}" for bound in (verdict.share_low, verdict.share_high))
        share = phrases["share"].format(**dict(zip(("low", "high"), bounds)))
        name = "one run" if verdict.hits == 1 else "runs"
        said.append(phrases[name].format(hits=verdict.hits, runs=verdict.runs, share=share))
    return phrases["between"].join(said)


#: Where a run has not as many epochs as the paper's.
SCALED = (
    "The claims name epochs of the paper's {paper}; this run has {epochs}, so these ranges of "
    "epochs are scaled in proportion."
)


def epochs_note(epochs: int) -> str:
    """A sentence where a run has not as many epochs as the paper's, which claims name; else nothing.

    Example:
        >>> epochs_note(50)
        ''
        >>> print(epochs_note(6))
        The claims name epochs of the paper's 50; this run has 6, so these ranges of epochs are \
scaled in proportion.
    """
    paper = PAPER["epochs"]
    return "" if epochs == paper else SCALED.format(paper=paper, epochs=epochs)


def seeds_note(seeds: Sequence[int]) -> str:
    """A sentence where seeds are not a full range: some may have been left out; else nothing.

    Example:
        >>> seeds_note([0, 1, 2]), seeds_note([0, 1, 5])
        ('', 'seeds 0 to 5 without 2, 3, 4: not a full range, so seeds may have been chosen')
    """
    if not seeds:
        return ""
    have = set(seeds)
    first, last = min(have), max(have)
    missing = last - first + 1 - len(have)
    if not missing:
        return ""
    named: list[str] = []
    number = first
    while len(named) < min(missing, 5):
        if number not in have:
            named.append(str(number))
        number += 1
    more = f" and {missing - 5:,} more" if missing > 5 else ""
    without = ", ".join(named) + more
    return f"seeds {first} to {last} without {without}: not a full range, so seeds may have been chosen"
