"""What a run found, in one sentence and three tiles, made from its verdicts."""

from collections.abc import Sequence
from typing import Any

from ..verdicts import LEAST_SEEDS, Verdict
from .strings import Words
from .wording import deciding, shown_number, shown_range

__all__ = ["TILES", "banners", "outcome", "tiles"]

#: Tile -> its claims, and the part whose number it shows.
TILES = {
    "dynamics": (("F3", "F4", "F4b", "F5", "F5c", "F5b"), ("F4", "F5b")),
    "levels": (("A1", "A2", "A3"), ("A1", "A2")),
    "selection": (("H", "O2", "R1", "O1", "O3", "O4", "O5"), ("H", "O2")),
}
#: Verdicts after which a claim stands, at least in its direction.
HOLDS = ("reproduced", "weaker", "direction only", "alike")


def outcome(verdicts: Sequence[Verdict], words: Words, sample: bool = False) -> str:
    """One sentence: how saliency changes (F5), and what choosing by it gains (H, O2).

    Args:
        verdicts: of :func:`replicate.verdicts.judge`.
        words: the page's language.
        sample: whether the corpus is the package's sample, which decides nothing.

    Example:
        >>> from replicate.verdicts import judge
        >>> outcome(judge([]), Words("en"))
        'No seed is finished yet, so there is no result.'
    """
    found = {verdict.claim.id: verdict for verdict in verdicts}
    seeds = found["S1"].seeds
    if not seeds:
        return words.plain("outcome.none")
    if sample:
        return words.plain("outcome.sample")
    if seeds < LEAST_SEEDS:
        key = "outcome.few.one" if seeds == 1 else "outcome.few"
        return words.plain(key, seeds=seeds, least=LEAST_SEEDS)
    changes, half, random = (found[name].verdict for name in ("F5", "H", "O2"))
    if half == random:
        gain = words.plain("outcome.gain.both", gain=words.plain(f"outcome.gain.{half}"))
    else:
        gain = words.plain(
            "outcome.gain.each",
            half=words.plain(f"outcome.gain.{half}"),
            random=words.plain(f"outcome.gain.{random}"),
        )
    holds = (changes in HOLDS, half in HOLDS and random in HOLDS)
    return words.plain(
        "outcome.but" if holds[0] != holds[1] else "outcome.and",
        changes=words.plain(f"outcome.changes.{changes}"),
        gain=gain,
    )


def banners(
    verdicts: Sequence[Verdict], words: Words, sentences: int, sample: bool, paper_corpus: bool
) -> list[str]:
    """What a reader must know before the verdicts: nothing can be decided, or another corpus.

    Args:
        verdicts: of :func:`replicate.verdicts.judge`.
        words: the page's language.
        sentences: of the corpus.
        sample: whether it is the package's sample.
        paper_corpus: whether it is the paper's.

    Example:
        >>> from replicate.verdicts import judge
        >>> len(banners(judge([]), Words("en"), 200, True, False))
        1
    """
    seeds = verdicts[0].seeds
    made: list[str] = []
    if sample:
        made.append(words("banner.sample", sentences=f"{sentences:,}"))
    elif seeds < LEAST_SEEDS:
        made.append(words("banner.few", least=LEAST_SEEDS))
    if not (sample or paper_corpus):
        made.append(words("banner.corpus"))
    return made


def tiles(
    verdicts: Sequence[Verdict], words: Words, colours: dict[str, str]
) -> list[dict[str, Any]]:
    """Three groups of claims: their verdicts, and the numbers that matter most.

    Args:
        verdicts: of :func:`replicate.verdicts.judge`.
        words: the page's language.
        colours: verdict -> class of its colour.

    Returns:
        For each tile its title, its verdicts with how many claims have each, the
        claims, and lines of what was measured, ours and the paper's.

    Example:
        >>> from replicate.verdicts import judge
        >>> [tile["name"] for tile in tiles(judge([]), Words("en"), {"undecided": "open"})]
        ['dynamics', 'levels', 'selection']
    """
    found = {verdict.claim.id: verdict for verdict in verdicts}
    made = []
    for name, (members, shown) in TILES.items():
        given = [found[member].verdict for member in members]
        counts = [(verdict, given.count(verdict)) for verdict in colours if verdict in given]
        made.append(
            {
                "name": name,
                "title": words(f"tile.{name}"),
                "asks": words(f"tile.{name}.asks"),
                "counts": [
                    {"number": n, "verdict": words(f"verdict.{v}"), "colour": colours[v]}
                    for v, n in counts
                ],
                "claims": [
                    {
                        "id": member,
                        "colour": colours[verdict],
                        "verdict": words(f"verdict.{verdict}"),
                    }
                    for member, verdict in zip(members, given)
                ],
                "numbers": [_number(found[member], words) for member in shown],
            }
        )
    return made


def _number(verdict: Verdict, words: Words) -> dict[str, str]:
    judged = deciding(verdict)
    part = judged.part
    paper = ""
    if part.reported is not None and verdict.verdict != "not applicable":
        paper = shown_number(part, float(part.shown(part.reported)))
    return {
        "title": words(f"tile.number.{verdict.claim.id}"),
        "ours": words.number(shown_number(part, judged.mean)),
        "interval": words.number(shown_range(part, judged.low, judged.high)),
        "paper": words.number(paper),
    }
