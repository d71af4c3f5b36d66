"""What a run states of itself in ``config.json``: how it is carried out, on which data and versions.

:class:`~replicate.config.Config` checks the readings; the rest is checked here.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from .config import Config
from .corpus import Corpus
from .io.errors import InputError
from .io.files import load_json

__all__ = [
    "ADDED",
    "VECTOR_TITLES",
    "CorpusFacts",
    "Options",
    "Surroundings",
    "VectorFacts",
    "check_settings",
    "config_schema",
    "content_of",
    "continued",
    "differences",
    "matrix_of",
    "read_settings",
    "same_data",
]

#: Readings that version 1.0.0 does not write, and what it did.
ADDED = {"absent_words": "move"}

#: SHA-256 of well-known vector files -> how figures and report name them.
VECTOR_TITLES = {
    "21c05ae916a67a4da59b1d006903355cced7de7da1e42bff9f0504198c748da8": "GoogleNews, full file",
    "66683255ce8d41d973213a192afbff0627b5364fcdd3657846620bea386fa34b": (
        "GoogleNews, 31,530 words, not the full file"
    ),
    "80419219bd4e7143b9555a092b01522c5616b880758595a950df6eb687f77e41": (
        "GoogleNews subset, not the full file"
    ),
    "a060ffa2ef0ace97699a2d4f000aec786c741533dc338dd432b25b413dc6da79": (
        "IMDB word2vec, not GoogleNews"
    ),
}


@dataclass(frozen=True)
class Options:
    """How a run is carried out; unlike readings, options do not change what it means.

    Attributes:
        device: ``"@cpu"`` or ``"@cupy:0"``.
        implementation: ``"fused"`` or ``"reference"``.
        stored: keep the saliency of every epoch; False is ``--streaming``.
        epoch_weights: the seeds for which the weights of T1 after every epoch are
            kept: ``"first"``, ``"all"`` or ``"none"``.  ``replicate explain`` uses
            them.
        record_arms: record T1's saliency in the second phase too (Q1).

    Example:
        >>> Options(stored=False).epoch_weights
        'first'
    """

    device: str = "@cpu"
    implementation: str = "fused"
    stored: bool = True
    epoch_weights: str = "first"
    record_arms: bool = False


# --- the types of its values -------------------------------------------------------------

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Seed = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class CorpusFacts(msgspec.Struct):
    """``corpus`` of ``config.json``."""

    sha256: dict[str, str]
    label_names: Annotated[list[str], msgspec.Meta(min_length=2)]
    sentences: _Count
    words: _Count
    tokens: _Count
    content: str = ""  # version 1.0.0 does not write it


class VectorFacts(msgspec.Struct):
    """``vectors`` of ``config.json``."""

    name: str
    sha256: str
    dimensions: _Count
    known_words: _Share
    known_tokens: _Share
    matrix: str = ""  # version 1.0.0 does not write it


class _State(msgspec.Struct):
    versions: dict[str, str]
    environment: dict[str, str]


class Surroundings(msgspec.Struct, kw_only=True):
    """What numbers depend on beside settings and data, as results began and went on."""

    versions: dict[str, str]
    environment: dict[str, str] = {}  # 1.0.0 does not write it
    continued: list[_State] = []


class _Facts(Surroundings, kw_only=True):
    """What ``config.json`` holds beside the readings, which :class:`Config` checks."""

    preset: str
    seeds: Annotated[list[_Seed], msgspec.Meta(min_length=1)]
    device: Annotated[str, msgspec.Meta(pattern=r"^(@cpu|@cupy(:[0-9]{1,3})?)\Z")]
    implementation: Literal["fused", "reference"]
    stored: bool
    epoch_weights: Literal["first", "all", "none"]
    record_arms: bool
    corpus: CorpusFacts
    vectors: VectorFacts
    read: dict[str, Any] = {}  # version 1.0.0 does not write it


def read_settings(place: Path) -> tuple[dict[str, Any], Config]:
    """The content of ``config.json`` and the readings in it, with all values checked.

    Raises:
        InputError: if the file is missing, or this program did not write it.
    """
    settings: dict[str, Any] = load_json(place)
    try:
        return _checked(settings)
    except _WRONG as error:
        raise InputError(
            f"{place}: not written by this program ({error}); name a run folder"
        ) from None


def check_settings(settings: dict[str, Any], place: Path) -> None:
    """Look whether :func:`read_settings` would take settings, before they are written.

    Args:
        settings: the content of ``config.json``.
        place: where it would be written.

    Raises:
        InputError: if not; the file would make the folder unreadable.
    """
    try:
        _checked(dict(settings))
    except _WRONG as error:
        raise InputError(
            f"{place}: not written, for no run has such settings ({error}); correct them"
        ) from None


#: What settings that are not of this program raise.
_WRONG = (msgspec.ValidationError, RecursionError, KeyError, InputError)


def _checked(settings: dict[str, Any]) -> tuple[dict[str, Any], Config]:
    msgspec.convert(settings, _Facts)
    settings.update({name: v for name, v in ADDED.items() if name not in settings})
    return settings, Config(**{name: settings[name] for name in Config.names()})


def config_schema() -> dict[str, Any]:
    """A JSON Schema of ``config.json``: what :func:`read_settings` checks.

    Two rules cannot be written as a schema: ``judged_epoch`` is at most ``epochs``, and eq. (9)
    needs two recorded epochs.

    Example:
        >>> config_schema()["properties"]["padding"]["enum"]
        ['wide', 'narrow']
    """
    _, parts = msgspec.json.schema_components([_Facts], ref_template="#/$defs/{name}")
    facts = parts.pop(_Facts.__name__)
    # Python's end of a text; JSON Schema has the regular expressions of JavaScript.
    device = facts["properties"]["device"]
    device["pattern"] = device["pattern"].replace(r"\Z", "$")
    readings = {field.name: _reading_schema(field) for field in dataclasses.fields(Config)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "config.json of a run",
        "description": "Settings, readings and data of a run of word-saliency-replication.",
        "type": "object",
        "properties": {"format": {"const": 1}, **readings, **facts["properties"]},
        "required": [name for name in readings if name not in ADDED] + facts["required"],
        "$defs": parts,
    }


def _reading_schema(field: dataclasses.Field[Any]) -> dict[str, Any]:
    meta = field.metadata
    about = {"description": meta["doc"], "default": field.default}
    if "choices" in meta:
        return {"enum": list(meta["choices"]), **about}
    low = "exclusiveMinimum" if meta["open_low"] else "minimum"
    kind = "integer" if field.type in (int, "int") or "several" in meta else "number"
    one = {"type": kind, low: meta["low"], "maximum": meta["high"]}
    if "several" in meta:
        many = {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}
        return {"anyOf": [one, many], **about}
    return {**one, **about}


# --- what identifies data, and what numbers depend on beside it -------------------------


def content_of(corpus: Corpus) -> str:
    """Checksum of a corpus as it is used: of words, sentences and labels, not of its files."""
    digest = hashlib.sha256("\n".join([*corpus.label_names, "", *corpus.words]).encode())
    for array, kind in ((corpus.tokens, "<i4"), (corpus.offsets, "<i8"), (corpus.labels, "<i4")):
        digest.update(np.asarray(array, dtype=kind).tobytes())
    return digest.hexdigest()


def matrix_of(vectors: np.ndarray, known: np.ndarray) -> str:
    """Checksum of the word vectors that are used: of the rows of known words, not of a file.

    Args:
        vectors: (V + 1, D) float32, row 0 padding.
        known: (V,) bool; what other words get is drawn from the settings.
    """
    digest = hashlib.sha256(f"{vectors.shape} float32".encode())
    digest.update(np.asarray(known, dtype=bool).tobytes())
    digest.update(np.asarray(vectors[1:][known], dtype="<f4").tobytes())
    return digest.hexdigest()


def settings_like(place: Path, kind: type) -> dict[str, Any]:
    """A file of settings of a command that makes a table of its own.

    Args:
        place: the file.
        kind: a ``msgspec.Struct`` of what it must hold.

    Raises:
        InputError: if it holds something else.
    """
    settings: dict[str, Any] = load_json(place)
    try:
        msgspec.convert(settings, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"{place}: not of this program ({error}); choose another --out") from None
    return settings


def same_data(place: Path, have: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Look whether results that are there are of this corpus and these word vectors.

    Args:
        place: of the results, for the message.
        have, now: ``corpus`` and ``vectors``, as ``config.json`` has them.

    Raises:
        InputError: if one is another.
    """
    for name, digest, title in (
        ("corpus", "content", "another corpus"),
        ("vectors", "matrix", "other word vectors"),
    ):
        if have[name][digest] != now[name][digest]:
            raise InputError(
                f"{place}: was made with {title} ({_facts(have[name])}; now "
                f"{_facts(now[name])}); choose another --out or the old {name}"
            )


def _facts(facts: Mapping[str, Any]) -> str:
    if "dimensions" in facts:
        words = f"{facts['dimensions']} dimensions, {facts['known_words']:.1%} of words"
        return f"{facts['name']}, {words}, sha256 {facts['sha256'][:12] or 'none'}"
    files = ", ".join(f"{name} sha256 {digest[:12]}" for name, digest in facts["sha256"].items())
    return f"{facts['sentences']} sentences, {files}"


def continued(have: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of results that are there, when they are gone on with under other versions.

    Args:
        have, now: with ``versions`` and ``environment``.

    Returns:
        `have`; what is new of `now` is added to its list ``continued``.
    """
    names = ("versions", "environment")
    began = {name: have.get(name) or now[name] for name in names}  # 1.0.0 has no environment
    mine = {name: now[name] for name in names}
    known = [began, *have.get("continued", [])]
    return {**have, **({} if mine in known else {"continued": [*known[1:], mine]})}


def differences(
    settings: Mapping[str, Any], versions: Mapping[str, str], environment: Mapping[str, str]
) -> list[str]:
    """What numbers depend on and is not now as it was when a run began: ``"numpy 2.4 (now 2.5)"``."""
    pairs = [(settings["versions"], versions)]
    if settings.get("environment"):  # 1.0.0 does not write it
        pairs.append((settings["environment"], environment))
    return [
        f"{name} {before.get(name, 'none')} (now {now.get(name, 'none')})"
        for before, now in pairs
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
