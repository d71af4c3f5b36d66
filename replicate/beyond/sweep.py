"""Readings x seeds side by side: the multiverse.

A finished specification and seed is one row of ``sweep.csv``, so a sweep goes
on elsewhere from the table alone.
"""

import contextlib
import itertools
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..config import PRESETS, Config, checked_seeds, is_seed
from ..environment import inherited, versions
from ..experiment import OnRead, check_epochs, prepare, read_data, run_seed, statistics_of
from ..io.errors import InputError, shorten
from ..io.files import (
    check_own_folder,
    folder_lock,
    read_csv,
    read_text,
    save_csv,
    save_json,
    toml_table,
)
from ..parallel.mpi import run_shares
from ..parallel.pool import Outcome, Task, TaskFailed, checked_jobs
from ..settings import (
    CorpusFacts,
    Options,
    Surroundings,
    VectorFacts,
    continued,
    same_data,
    settings_like,
)

__all__ = [
    "Specification",
    "locked",
    "prepare_sweep",
    "read_grid",
    "run_sweep",
    "sweep_rows",
]


#: Specifications of a sweep.
_MOST = 10_000
#: (specification name, seed) -> its row.
Found = dict[tuple[str, int], dict[str, Any]]
#: What all rows have in common: data, options, versions.
SETTINGS = "sweep.json"
#: A row a specification and seed.
ROWS = "sweep.csv"


class _Data(msgspec.Struct):
    corpus: CorpusFacts
    vectors: VectorFacts


class _Facts(Surroundings, kw_only=True):
    """What ``sweep.json`` holds; ``data`` is by the reading ``tokens``."""

    data: dict[str, _Data]
    device: str
    implementation: str


class Specification:
    """One choice of readings, named by what it changes.

    Attributes:
        name: for instance ``"dropout=0.5"``; ``"default"`` for none.
        config: all readings.
    """

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config


def read_grid(path: str | Path) -> tuple[list[Specification], list[int]]:
    """Specifications and seeds of a sweep.

    The TOML file has ``seeds`` (a list), ``preset`` (default ``"paper"``), an
    optional table ``base`` of settings that hold throughout, any number of
    ``[[grid]]`` tables, each a product of lists, and any number of
    ``[[one]]`` tables, each one specification.

    Returns:
        Specifications (the same readings twice count once), seeds.

    Raises:
        InputError: for an unknown key, setting or value, an empty list, or too few epochs.
    """
    table = toml_table(read_text(path), path)
    odd = set(table) - {"seeds", "preset", "base", "grid", "one"}
    if odd:
        raise InputError(
            f"{path}: {shorten(sorted(odd)[0])} is not known; use seeds, preset, base, grid, one"
        )
    preset = table.get("preset", "paper")
    if not (isinstance(preset, str) and preset in PRESETS):
        raise InputError(
            f"{path}: preset {shorten(preset)} is not offered; choose {', '.join(PRESETS)}"
        )
    seeds = table.get("seeds")
    if not (isinstance(seeds, list) and seeds and all(map(is_seed, seeds))):
        raise InputError(
            f"{path}: seeds must be a list of whole numbers from 0; write seeds = [0, 1]"
        )
    for name in ("grid", "one"):
        blocks = table.setdefault(name, [])
        if not (isinstance(blocks, list) and all(isinstance(block, dict) for block in blocks)):
            raise InputError(f"{path}: {name} must be tables; write [[{name}]] above its settings")
    if not isinstance(table.setdefault("base", {}), dict):
        raise InputError(f"{path}: base must be a table; write [base] above its settings")
    grids = [
        {name: value if isinstance(value, list) else [value] for name, value in block.items()}
        for block in table["grid"]
    ]
    for name in (name for grid in grids for name, values in grid.items() if not values):
        # The product with it would be empty, and the other settings of its table lost.
        raise InputError(f"{path}: {shorten(name)} is an empty list; give values or remove it")
    size = len(table["one"]) + sum(math.prod(map(len, grid.values())) for grid in grids)
    if size > _MOST:
        raise InputError(
            f"{path}: {size:,} specifications, at most {_MOST:,} are run; shorten its lists"
        )
    changes = [
        dict(zip(grid, chosen)) for grid in grids for chosen in itertools.product(*grid.values())
    ]
    changes += table["one"]
    try:
        base = PRESETS[preset].replace(**table["base"])
        made: dict[Config, Specification] = {}
        for change in changes or [{}]:
            config = base.replace(**change)
            made.setdefault(config, Specification(_name(config, base), config))
        for config, specification in made.items():
            try:
                check_epochs(config)
            except InputError as error:
                raise InputError(f"{specification.name}: {error}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return list(made.values()), sorted(set(seeds))


def _name(config, base):
    ours, theirs = config.to_dict(), base.to_dict()
    changed = [f"{n}={_shown(v)}" for n, v in ours.items() if v != theirs[n]]
    return "; ".join(changed) or "default"


def _shown(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def sweep_rows(place: str | Path) -> Found:
    """Rows of ``sweep.csv``: (specification name, seed) -> settings and statistics.

    Returns:
        ``(name, seed)`` -> dict of text for settings, float for statistics.
    """
    place = Path(place)
    if not place.exists():
        return {}
    header = read_text(place).partition("\n")[0].rstrip("\r").split(",")
    settings = ["specification", "seed", *Config.names()]
    if header[: len(settings)] != settings:
        raise InputError(f"{place}: line 1 is of another version; move it away")
    numbers = {"seed": int, **dict.fromkeys(header[len(settings) :], float)}
    return {(row["specification"], row["seed"]): row for row in read_csv(place, header, numbers)}


@contextlib.contextmanager
def locked(out: str | Path) -> Iterator[None]:
    """The lock of a folder in which a sweep is or may be made.

    Raises:
        InputError: for a folder of other files, or one that another command uses.
    """
    out = Path(out)
    if (out / SETTINGS).exists():
        _read_settings(out)
    else:
        check_own_folder(out, "sweep")
    with folder_lock(out, ("", "work")):
        yield


def _read_settings(out: Path) -> dict[str, Any]:
    """``sweep.json``: the data and the options that all rows have in common."""
    return settings_like(out / SETTINGS, _Facts)


def prepare_sweep(
    out: str | Path,
    specifications: Sequence[Specification],
    data: tuple,
    options: Options,
    on_read: OnRead | None = None,
) -> dict[str, Any]:
    """Write ``sweep.json``, or check that the rows that are there are of these very data.

    Args:
        out: DIR.
        specifications: each reading ``tokens`` among them has a vocabulary of its own.
        data: see :func:`run_sweep`.
        options: device and implementation.
        on_read: called with what was read under each reading ``tokens``.

    Returns:
        What ``sweep.json`` holds.

    Raises:
        InputError: for bad data, or other data or options than those of the rows.
    """
    out = Path(out)
    # One specification of each: known words do not depend on other readings.
    of_tokens = {spec.config.tokens: spec.config for spec in specifications}
    paths, vectors = data[:2]
    dimensions = data[3] if len(data) > 3 else 300
    now: dict[str, Any] = {
        "format": 1,
        "data": {
            tokens: read_data(config, paths, vectors, dimensions, on_read)[1]
            for tokens, config in sorted(of_tokens.items())
        },
        "device": options.device,
        "implementation": options.implementation,
        "versions": versions(),
        "environment": inherited(),
    }
    if (out / SETTINGS).exists():
        have = _read_settings(out)
        for name in ("device", "implementation"):
            if have[name] != now[name]:
                raise InputError(
                    f"{out}: was made with {name} = {shorten(have[name])}, not "
                    f"{shorten(now[name])}; choose another --out or the old setting"
                )
        for tokens in set(have["data"]) & set(now["data"]):
            same_data(out, have["data"][tokens], now["data"][tokens])
        now = {**continued(have, now), "data": {**now["data"], **have["data"]}}
    elif (out / ROWS).exists():
        raise InputError(
            f"{out}: has rows, and no {SETTINGS} that says of which data; choose another --out"
        )
    save_json(out / SETTINGS, now)
    return now


def run_specification(
    folder: str,
    name: str,
    seed: int,
    settings: dict[str, Any],
    data: tuple,
    options: dict[str, Any],
    facts: dict[str, Any],
    on_progress: Callable[[Any], None],
) -> None:
    """Task: one specification and seed in a folder of its own; its row is left beside it.

    Raises:
        InputError: if corpus or vectors are others than `facts`, those of ``sweep.json``.
        TaskFailed: if this specification cannot be trained, for instance diverges.
    """
    config = Config(**settings)
    place = Path(folder)
    run = prepare(place, config, Options(**options), [seed], *data)
    try:
        # The files may have changed since the sweep began.
        same_data(place.parents[1], facts, run.settings)
    except InputError:
        shutil.rmtree(place, ignore_errors=True)  # it would be refused with the right files
        raise
    try:
        run_seed(run, seed, lambda *message: on_progress(message))
    except InputError as error:
        if isinstance(error.__cause__, OSError):  # a full disk is that of all
            raise
        reason = str(error).removeprefix(f"{place}: seed {seed}, ")
        raise TaskFailed(reason) from None
    row = {"specification": name, "seed": seed, **_shown_settings(config)}
    save_rows(place.with_suffix(".csv"), [{**row, **statistics_of(run, seed)}])
    shutil.rmtree(place, ignore_errors=True)  # whoever collects the row does the same


def _shown_settings(config):
    return {name: _shown(value) for name, value in config.to_dict().items()}


def save_rows(place: str | Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as :func:`sweep_rows` gives them.

    Raises:
        InputError: if they have not all the same columns.
    """
    header = list(rows[0])
    if any(list(row) != header for row in rows):
        raise InputError(f"{place}: has rows of another version; move it away")
    save_csv(place, header, [row.values() for row in rows])


def collect_rows(out: str | Path) -> Found:
    """Move the rows that tasks have finished, on whichever machine, into ``sweep.csv``.

    Args:
        out: DIR; each row is a file in ``DIR/work`` until then.

    Returns:
        All rows, as :func:`sweep_rows` has them.
    """
    out = Path(out)
    rows = sweep_rows(out / ROWS)
    finished = sorted((out / "work").glob("*.csv"))
    for place in finished:
        rows.update(sweep_rows(place))
    if finished:
        save_rows(out / ROWS, [rows[key] for key in sorted(rows)])
    for place in finished:
        shutil.rmtree(place.with_suffix(""), ignore_errors=True)
        place.unlink()
    return rows


def run_sweep(
    out: str | Path,
    specifications: Sequence[Specification],
    seeds: int | Iterable[int],
    data: tuple,
    options: Options | None = None,
    jobs: int = 1,
    on_progress: Callable[[Any, Any], None] | None = None,
    threads: int = 1,
) -> Outcome:
    """Carry out what ``sweep.csv`` of `out` lacks.

    Args:
        out: DIR; partial runs are in ``DIR/work``.
        specifications: what to run.
        seeds: which, or how many: each specification with each.
        data: corpus paths and vectors, and maybe preset and dimensions, as
            :func:`replicate.experiment.prepare` takes them.
        options: device and implementation.
        jobs: at once.
        on_progress: callable ``(name, message)``.
        threads: of the matrix library in each process.

    Returns:
        How the tasks ended, a specification that diverges among the failures; rows are in
        the file.

    Raises:
        InputError: for bad seeds, jobs or data, or data that change while the sweep runs.
    """
    out = Path(out)
    chosen, jobs = checked_seeds(seeds), checked_jobs(jobs)
    options = options or Options()
    facts = prepare_sweep(out, specifications, data, options)["data"]
    rows = collect_rows(out)
    tasks = []
    carried = {**vars(options), "stored": False, "epoch_weights": "none"}
    # All of one seed first: a sweep stopped early then compares like with like.
    for seed in chosen:
        for i, spec in enumerate(specifications):
            have = rows.get((spec.name, seed))
            if have is not None:
                if any(have[n] != v for n, v in _shown_settings(spec.config).items()):
                    raise InputError(
                        f"{out / 'sweep.csv'}: {spec.name} has other settings there; "
                        "choose another --out"
                    )
                continue
            folder = out / "work" / f"{i:03d}-{seed:03d}"
            arguments = (
                str(folder), spec.name, seed, spec.config.to_dict(), data, carried,
                facts[spec.config.tokens],
            )  # fmt: skip
            tasks.append([Task((spec.name, seed), run_specification, arguments, ())])

    def collect(name, message):
        if message == "done":
            collect_rows(out)
        if on_progress is not None:
            on_progress(name, message)

    outcome = run_shares(tasks, jobs, collect, threads)
    collect_rows(out)
    return outcome
