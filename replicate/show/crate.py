"""A run as an RO-Crate: settings, data and results in the form that archives read.

One file, ``ro-crate-metadata.json``, beside the others: RO-Crate 1.1 with the profile Process
Run Crate 0.5.  It is made of ``config.json`` and of the files that are there.
"""

import datetime
import mimetypes
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..config import Config
from ..io.errors import InputError
from ..io.files import save_json, sha256
from ..run import Run
from .report import command

__all__ = ["ro_crate", "write_crate"]

_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_TERMS = (
    "Numbers, tables and figures are under the MIT licence.  corpus.npz and the files of the seeds "
    "hold sentences or words of the corpus, and vectors.npy rows of the word vectors: both stay "
    "under the terms of their publishers."
)


def write_crate(run: Run) -> Path:
    """Write ``ro-crate-metadata.json`` into the folder of a run.

    Raises:
        InputError: if the run has no verdicts yet, or the file cannot be written.

    Example:
        >>> from replicate.experiment import conclude
        >>> verdicts = conclude(sample_run())
        >>> write_crate(sample_run()).name
        'ro-crate-metadata.json'
    """
    save_json(run.crate_file, ro_crate(run))
    return run.crate_file


def ro_crate(run: Run) -> dict[str, Any]:
    """The crate of a run, for JSON.

    Every file of the run as a whole has its SHA-256.  The files of a seed are one data set;
    their checksums are in its ``stage.json``.

    Raises:
        InputError: if the run has no verdicts yet.

    Example:
        >>> from replicate.experiment import conclude
        >>> verdicts = conclude(sample_run())
        >>> crate = ro_crate(sample_run())
        >>> [entity["@id"] for entity in crate["@graph"]][:2]
        ['ro-crate-metadata.json', './']
    """
    inputs, results = run.input_files(), run.result_files()
    if run.claims_files[0] not in results:
        raise InputError(f"{run.out}: has no verdicts; run it, or `replicate report` it, first")
    seconds = run.claims_files[0].stat().st_mtime
    ended = datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
    seeds = [seed for seed in run.seeds if run.seed_folder(seed).is_dir()]
    files = [_file(run, place) for place in (*inputs, *results)]
    folders = [
        {
            "@id": f"{run.seed_folder(seed).name}/",
            "@type": "Dataset",
            "name": f"Seed {seed}",
            "description": "Split, models, recorded saliency, scores and accuracies of one seed; "
            "stage.json in each folder has the SHA-256 of its files.",
        }
        for seed in seeds
    ]
    software = _software(run)
    sources, settings = _sources(run), _settings(run)
    known = {entity["@id"] for entity in files}
    made = [_id(run, place) for place in results] + [folder["@id"] for folder in folders]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": "A run of word-saliency-replication",
        "description": f"{len(seeds)} seeds; {run.title}. A replication of an experiment on the "
        "instability of word saliency in a convolutional network, with a verdict on each claim.",
        "datePublished": ended,
        "license": {"@id": "#terms"},
        "conformsTo": {"@id": _PROFILE},
        "hasPart": _refs([*sorted(known), *(folder["@id"] for folder in folders)]),
        "mentions": {"@id": "#run"},
    }
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": "replicate run",
        "description": command(run),
        "endTime": ended,
        "instrument": {"@id": software[0]["@id"]},
        "object": _refs(
            [*(_id(run, place) for place in inputs), *(e["@id"] for e in (*sources, *settings))]
        ),
        "result": _refs(made),
    }
    descriptor = {
        "@id": run.crate_file.name,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }
    profile = {
        "@id": _PROFILE,
        "@type": "CreativeWork",
        "name": "Process Run Crate",
        "version": "0.5",
    }
    terms = {"@id": "#terms", "@type": "CreativeWork", "name": "Terms", "description": _TERMS}
    return {
        "@context": ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"],
        "@graph": [descriptor, root, action, *software, *sources, *settings, *files, *folders, profile, terms],
    }  # fmt: skip


def _id(run: Run, place: Path) -> str:
    return quote(place.relative_to(run.out).as_posix())


def _refs(names: list[str]) -> list[dict[str, str]]:
    return [{"@id": name} for name in names]


def _file(run: Run, place: Path) -> dict[str, Any]:
    kind = mimetypes.guess_type(place.name)[0] or "application/octet-stream"
    return {
        "@id": _id(run, place),
        "@type": "File",
        "name": place.name,
        "encodingFormat": kind,
        "contentSize": str(place.stat().st_size),
        "sha256": sha256(place),
    }


def _software(run: Run) -> list[dict[str, Any]]:
    """The program, and the packages whose versions numbers depend on."""
    versions = dict(run.settings["versions"])
    own = versions.pop("replicate")
    others = [
        {"@id": f"#{name}", "@type": "SoftwareApplication", "name": name, "softwareVersion": version}
        for name, version in versions.items()
    ]  # fmt: skip
    program = {
        "@id": "#replicate",
        "@type": "SoftwareApplication",
        "name": "word-saliency-replication",
        "softwareVersion": own,
        "softwareRequirements": _refs([other["@id"] for other in others]),
    }
    return [program, *others]


def _sources(run: Run) -> list[dict[str, Any]]:
    """The files from outside that were read, by name and checksum; they are not in the folder."""
    facts = run.settings
    found = [(name, digest, "corpus") for name, digest in facts["corpus"]["sha256"].items()]
    found.append((facts["vectors"]["name"], facts["vectors"]["sha256"], "word vectors"))
    return [
        {
            "@id": f"#source-{quote(name)}",
            "@type": "CreativeWork",
            "name": name,
            "description": f"Read as {what}; not in this folder.",
            **({"sha256": digest} if digest else {}),
        }
        for name, digest, what in found
    ]


def _settings(run: Run) -> list[dict[str, Any]]:
    """Every reading as a value with a name."""
    about = {row[0]: row[3] for row in Config.readings()}
    return [
        {
            "@id": f"#setting-{name}",
            "@type": "PropertyValue",
            "name": name,
            "value": value,
            "description": about[name],
        }
        for name, value in run.config.to_dict().items()
    ]
