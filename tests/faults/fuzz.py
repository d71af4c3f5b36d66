"""Feed every reader of outside data with inputs that coverage guides (atheris, libFuzzer).

Usage: python tests/faults/fuzz.py [--seconds 60] [--reader NAME] [--write]

Each reader of ``readers.py`` has a process of its own for that time, at most
2 GB of memory, and 10 seconds an input; it starts from valid inputs and from
what an earlier call kept in out/fuzz.  An input is a fault when it gives
another exception than ``InputError``, a message of several lines, no end, or
too much memory.  The first input of every kind of fault is kept in
out/fuzz/READER; ``--repeat FILE --reader NAME`` shows its traceback.  Exit
code 1 when there is one.  ``--write`` puts the table into docs/reliability.md.
"""

import argparse
import datetime
import hashlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import types
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
OUT = REPOSITORY / "out" / "fuzz"
#: What libFuzzer itself ends at, by the name it gives to the input.
ENDS = {"timeout": "no end within 10 s", "oom": "over 2 GB of memory", "crash": "ended the process"}
KEPT = {"fault", *ENDS}
#: Modules that are read along; Numba's compiled functions are not of Python and stay as they are.
GUIDES = (
    "replicate.config replicate.corpus replicate.experiment replicate.model replicate.io.files "
    "replicate.io.lines replicate.io.tables replicate.io.corpora replicate.io.wordvectors "
    "replicate.beyond.sweep replicate.training "
    "csv gzip json.decoder numpy.lib._format_impl numpy.lib.format tarfile tomllib._parser zipfile"
).split()


def readers():
    """The module beside this file; the package is found whether or not it is installed."""
    sys.path[:0] = [str(REPOSITORY), str(Path(__file__).parent)]
    import readers

    return readers


def safe(name):
    """A reader's name as that of a folder."""
    return re.sub(r"\W+", "-", name)


# --- in the process of one reader --------------------------------------------------


def instrument(atheris):
    """Let atheris see the branches of all plain functions of the modules; how many."""
    done = set()
    for name in GUIDES:
        for thing in list(vars(sys.modules.get(name, types)).values()):
            own = [thing, *vars(thing).values()] if isinstance(thing, type) else [thing]
            for function in own:
                function = getattr(function, "__func__", function)
                if (
                    isinstance(function, types.FunctionType)
                    and function.__module__ == name
                    and function not in done
                ):
                    atheris.instrument_func(function)
                    done.add(function)
    return len(done)


def work(name, seconds, folder):
    """Fuzz one reader; faults are told as lines of JSON on the standard output."""
    import atheris

    known = readers()
    read = known.READERS[name]
    corpus = folder / "inputs"
    for data in known.SEEDS[name]:
        read(data)  # also compiles what is compiled at the first call
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    instrument(atheris)
    words = folder / "words.dict"
    short = [token for token in known.TOKENS if len(token) <= 64]
    words.write_text("".join('"' + "".join(f"\\x{b:02x}" for b in t) + '"\n' for t in short))
    told = set()

    def one(data):
        found = known.fault(read, data)
        # The place, not the rest: that often quotes the input.
        place = found.partition(":")[0]
        if found and place not in told:
            told.add(place)
            kept = folder / f"fault-{hashlib.sha1(data).hexdigest()[:12]}"
            kept.write_bytes(data)
            print(json.dumps({"fault": found, "file": str(kept)}), flush=True)

    options = [
        f"-max_total_time={seconds}", "-rss_limit_mb=2048", "-timeout=10", "-max_len=16384",
        "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={folder}/",
        f"-dict={words}", str(corpus),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


# --- in the process that was called --------------------------------------------------


def campaign(name, seconds):
    """Fuzz one reader in a process of its own.

    Returns:
        dict: reader, inputs tried, seconds, faults as (words, file).
    """
    folder = OUT / safe(name)
    (folder / "inputs").mkdir(parents=True, exist_ok=True)
    for place in [place for place in folder.iterdir() if place.name.partition("-")[0] in KEPT]:
        place.replace(folder / "inputs" / place.name)  # an earlier fault is tried again
    command = [sys.executable, __file__, "--work", "--reader", name, "--seconds", str(seconds)]
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="replicate-fuzz-", dir=memory) as place:
        environment = {**os.environ, "FUZZ_FOLDER": place, "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            command, check=False, cwd=REPOSITORY, env=environment, capture_output=True,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
    faults = []
    for line in done.stdout.splitlines():
        if line.startswith('{"fault"'):
            told = json.loads(line)
            faults.append((told["fault"], told["file"]))
    for place in sorted(folder.iterdir()):
        kind = place.name.partition("-")[0]
        if kind in ENDS:
            faults.append((ENDS[kind], str(place)))
    tried = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    if done.returncode and not faults:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        faults.append((f"the fuzzer itself: {last[0]}", ""))
    took = re.search(r"Done \d+ runs in (\d+) second", done.stderr)
    return {
        "reader": name,
        "tried": int(tried[1]) if tried else 0,
        "seconds": int(took[1]) if took else seconds,
        "faults": faults,
    }


def page(rows):
    """The table of docs/reliability.md."""
    lines = [
        f"atheris {metadata.version('atheris')}; {sum(row['tried'] for row in rows):,} inputs, "
        f"{sum(len(row['faults']) for row in rows)} faults; {datetime.date.today().isoformat()}, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}.",
        "",
        "| reader | inputs tried | seconds | faults |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['reader']} | {row['tried']:,} | {row['seconds']} | {len(row['faults'])} |"
        for row in rows
    ]
    return "\n".join(lines)


def write(table):
    """Put the table between its marks in docs/reliability.md."""
    place = REPOSITORY / "docs" / "reliability.md"
    text = re.sub(
        r"(<!-- fuzz -->\n).*?(<!-- end fuzz -->)",
        lambda m: m[1] + table + "\n" + m[2],
        place.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    place.write_text(text, encoding="utf-8")


def main():
    """Fuzz all readers, or one; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--reader", help="one reader only")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="give one input to --reader")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.seconds < 1:
        parser.error("--seconds: from 1")
    if not chosen.repeat and importlib.util.find_spec("atheris") is None:
        print(
            "atheris is not installed; run `make faults`, or pip install atheris", file=sys.stderr
        )
        return 2
    names = list(readers().READERS)
    if (chosen.repeat or chosen.reader) and chosen.reader not in names:
        parser.error(f"--reader: choose one of {', '.join(names)}")
    if chosen.repeat:
        readers().READERS[chosen.reader](chosen.repeat.read_bytes())
        print("a result")
        return 0
    if chosen.work:
        work(chosen.reader, chosen.seconds, OUT / safe(chosen.reader))
        return 0
    rows = []
    for name in [chosen.reader] if chosen.reader else names:
        rows.append(campaign(name, chosen.seconds))
        print(f"{name}: {rows[-1]['tried']:,} inputs, {len(rows[-1]['faults'])} faults", flush=True)
        for words, file in rows[-1]["faults"]:
            print(f"  {words}")
            if file:
                again = f'--reader "{name}" --repeat {os.path.relpath(file, REPOSITORY)}'
                print(f"  python tests/faults/fuzz.py {again}")
    table = page(rows)
    print("\n" + table)
    if chosen.write:
        write(table)
    return int(any(row["faults"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
