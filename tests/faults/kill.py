"""Kill the experiment at random moments, start it again, and compare every file.

Usage: python tests/faults/kill.py [--kills 60] [--seed 0] [--write]

An undisturbed run comes first.  Then, until so many kills have fallen: a new
folder, one to three kills (SIGKILL, SIGTERM, Ctrl-C, or a power cut, which is
SIGKILL and the last written file cut short), the same command after each, and
once more to the end.  All files must be those of the undisturbed run, byte for
byte, but for ``run.log``, ``timing.json`` and the report, which quote time.
Exit code 1 when one is not.  ``--write`` puts the counts into
docs/reliability.md.
"""

import argparse
import collections
import datetime
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [
    "run", "--preset", "sample", "--epochs", "6", "--seeds", "2", "--jobs", "2", "--quiet",
]  # fmt: skip
KINDS = ("SIGKILL", "SIGTERM", "Ctrl-C", "power cut")
#: What tells the time of day, or quotes what does.
TIMED = {"run.log", "timing.json", "report.html", ".replicate.lock"}


def start(folder):
    """The command in a process group of its own, with a snapshot every epoch."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OPENBLAS_NUM_THREADS": "1",
        "REPLICATE_SNAPSHOT_SECONDS": "0",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "replicate", *COMMAND, "--out", str(folder)],
        env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(folder):
    """Run to the end; what it said, where it failed."""
    process = start(folder)
    _, said = process.communicate(timeout=600)
    return said if process.returncode else ""


def files(folder):
    """Relative name -> bytes of all files that must repeat; temporary ones are none of them."""
    return {
        str(place.relative_to(folder)): place.read_bytes()
        for place in sorted(Path(folder).rglob("*"))
        if place.is_file() and place.name not in TIMED
    }


def stage(folder):
    """What the run was at."""
    folder = Path(folder)
    if not (folder / "config.json").exists():
        return "preparing"
    firsts = list(folder.glob("seed-*/T1/stage.json"))
    arms = list(folder.glob("seed-*/arms/*/stage.json"))
    if len(arms) == 12 and len(firsts) == 2:
        return "claims, figures, report"
    return "first phase" if not firsts else "arms"


def kill(process, kind, folder, draw):
    """End the process in one of the ways."""
    if kind == "SIGTERM":
        process.terminate()
    elif kind == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
    else:
        process.kill() if kind == "SIGKILL" else os.killpg(process.pid, signal.SIGKILL)
    try:
        process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"{kind}: did not end within a minute"
    if kind == "power cut":
        # What was written last may not have reached the disk whole.
        written = [
            p for p in Path(folder).rglob("*") if p.is_file() and p.name != ".replicate.lock"
        ]
        if written:
            last = max(written, key=lambda p: p.stat().st_mtime_ns)
            os.truncate(last, draw.randrange(last.stat().st_size + 1))
    return ""


def trial(folder, whole, seconds, kills, draw, counts):
    """Some kills of one run, then its end; what is wrong, in words."""
    wrong = []
    for _ in range(kills):
        kind = draw.choice(KINDS)
        process = start(folder)
        try:
            process.communicate(timeout=draw.uniform(0.1, 1.1) * seconds)
        except subprocess.TimeoutExpired:
            where = stage(folder)
            wrong += filter(None, [kill(process, kind, folder, draw)])
            counts[kind, where] += 1
        else:
            break  # it was quicker
    said = finish(folder)
    if said:
        wrong.append(f"does not go on: {said.strip().splitlines()[-1]}")
    found = files(folder)
    for name in sorted(found.keys() | whole.keys()):
        if found.get(name) != whole.get(name):
            wrong.append(
                f"{name} {'differs' if name in found and name in whole else 'is there in one only'}"
            )
    return wrong


def campaign(kills, seed, folder, tell=print):
    """Kill until so many have fallen.

    Returns:
        tuple: counts by (kind, stage), list of faults in words, trials.
    """
    folder = Path(folder)
    finish(folder / "warm")  # compiled loops are cached now
    began = time.monotonic()
    said = finish(folder / "whole")
    if said:
        raise RuntimeError(said)
    seconds = time.monotonic() - began
    whole = files(folder / "whole")
    draw, counts, wrong, trials = random.Random(seed), collections.Counter(), [], 0
    while sum(counts.values()) < kills:
        trials += 1
        left = kills - sum(counts.values())
        place = folder / f"trial-{trials}"
        began = time.monotonic()
        found = trial(place, whole, seconds, min(left, draw.randint(1, 3)), draw, counts)
        if kills - sum(counts.values()) == left:
            # None fell: the run ends sooner than was measured.
            seconds = min(seconds, time.monotonic() - began)
        wrong += [f"trial {trials}: {words}" for words in found]
        shutil.rmtree(place, ignore_errors=True)
        tell(f"{sum(counts.values())} kills, {trials} trials, {len(wrong)} faults")
    return counts, wrong, trials


def page(counts, wrong, trials, seed):
    """The table of docs/reliability.md."""
    stages = ["preparing", "first phase", "arms", "claims, figures, report"]
    lines = [
        f"{sum(counts.values())} kills in {trials} runs, seed {seed}, {len(wrong)} faults; "
        f"{datetime.date.today().isoformat()}, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}.",
        "",
        "| killed by | " + " | ".join(stages) + " | all |",
        "| --- |" + " --- |" * (len(stages) + 1),
    ]
    for kind in KINDS:
        row = [counts[kind, s] for s in stages]
        lines.append(f"| {kind} | " + " | ".join(map(str, [*row, sum(row)])) + " |")
    return "\n".join(lines)


def main():
    """Run the campaign; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong, trials = campaign(chosen.kills, chosen.seed, folder)
    table = page(counts, wrong, trials, chosen.seed)
    print("\n".join([table, *wrong]))
    if chosen.write:
        place = REPOSITORY / "docs" / "reliability.md"
        text = place.read_text(encoding="utf-8")
        text = re.sub(
            r"(<!-- kills -->\n).*?(<!-- end kills -->)",
            lambda m: m[1] + table + "\n" + m[2], text, flags=re.DOTALL,
        )  # fmt: skip
        place.write_text(text, encoding="utf-8")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
