"""A run as an RO-Crate: what it names is there, and its checksums are right."""

import hashlib
import json
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

from replicate import Run, cli
from replicate.config import Config
from replicate.show.crate import ro_crate, write_crate


def wrong(crate, folder):
    """What is wrong with a crate, in words."""
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    found = [] if len(entities) == len(crate["@graph"]) else ["an @id twice"]

    def refs(value):
        if isinstance(value, dict):
            if set(value) == {"@id"}:
                yield value["@id"]
            else:
                for part in value.values():
                    yield from refs(part)
        elif isinstance(value, list):
            for part in value:
                yield from refs(part)

    outside = ("https://w3id.org/ro/crate/1.1",)
    found += [
        name for name in refs(crate["@graph"]) if name not in entities and name not in outside
    ]
    root = entities["./"]
    found += [
        f"root: {key}"
        for key in ("name", "description", "datePublished", "license")
        if not root.get(key)
    ]
    parts = {part["@id"] for part in root["hasPart"]}
    for name, entity in entities.items():
        place = folder / unquote(name)
        if entity["@type"] == "File":
            right = (
                place.is_file()
                and hashlib.sha256(place.read_bytes()).hexdigest() == entity["sha256"]
            )
            found += [] if right and name in parts else [f"file: {name}"]
            found += (
                []
                if place.is_file() and str(place.stat().st_size) == entity["contentSize"]
                else [f"size: {name}"]
            )
        elif entity["@type"] == "Dataset" and name != "./":
            found += [] if place.is_dir() and name in parts else [f"folder: {name}"]
    action = entities["#run"]
    used = {ref["@id"] for ref in (*action["object"], *action["result"])}
    found += [f"neither read nor made: {name}" for name in parts - used]
    found += [] if "claims.csv" in {ref["@id"] for ref in action["result"]} else ["no claims"]
    return found


def test_the_crate_of_a_run(reported_run):
    crate = ro_crate(reported_run)
    assert wrong(crate, reported_run.out) == []
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    for seed in reported_run.seeds:
        assert f"seed-{seed:03d}/" in entities
    values = {e["name"]: e["value"] for e in entities.values() if e["@type"] == "PropertyValue"}
    assert values == reported_run.config.to_dict() and set(values) == set(Config.names())
    assert (
        entities["#replicate"]["softwareVersion"] == reported_run.settings["versions"]["replicate"]
    )
    assert entities["#run"]["description"].startswith("replicate run ")
    (source,) = reported_run.settings["corpus"]["sha256"].values()
    assert source in {entity.get("sha256") for entity in entities.values()}
    assert not any(str(reported_run.out) in text for text in json.dumps(crate).split('"'))


@pytest.mark.parametrize("name", ["claims.csv", "figures/fig6.csv"])
def test_a_file_that_changed_is_noticed(copied, reported_run, name):
    """Twin: of a crate that was written before."""
    run = copied(reported_run)
    crate = json.loads(write_crate(run).read_text(encoding="utf-8"))
    assert wrong(crate, run.out) == []
    with open(run.out / name, "a") as file:
        file.write("x")
    assert wrong(crate, run.out) == [f"file: {name}", f"size: {name}"]
    assert wrong(ro_crate(run), run.out) == []


def test_a_crate_without_its_parts_is_noticed(reported_run):
    crate = ro_crate(reported_run)
    for gone, noticed in (("#terms", "#terms"), ("#numpy", "#numpy"), ("claims.csv", "claims.csv")):
        less = {"@graph": [entity for entity in crate["@graph"] if entity["@id"] != gone]}
        assert noticed in wrong(less, reported_run.out)


def test_the_command_writes_it_and_the_run_stays_a_run(copied, reported_run):
    run = copied(reported_run)
    found = CliRunner().invoke(
        cli.cli, ["export", str(run.out), "--to", "ro-crate"], standalone_mode=False
    )
    assert found.exception is None and found.output == f"{run.crate_file}\n"
    assert wrong(json.loads(run.crate_file.read_text(encoding="utf-8")), run.out) == []
    assert Run(run.out).identity == reported_run.identity
    again = run.crate_file.read_bytes()
    write_crate(run)
    assert run.crate_file.read_bytes() == again


def test_without_verdicts_one_line(copied, reported_run, refused):
    run = copied(reported_run)
    run.claims_files[0].unlink()
    with refused(run.out, "has no verdicts"):
        write_crate(run)
    assert not run.crate_file.exists()
