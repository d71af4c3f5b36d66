"""A run folder: which stages hold, and what is refused."""

import builtins
import errno
import json
import os

import numpy as np
import pytest
from samples import BAD_SEEDS

from replicate.io.errors import InputError, Unreadable
from replicate.io.files import save_json, sha256
from replicate.run import Run, stage_holds


def test_a_stage_holds_while_its_files_are_as_they_were(tmp_path):
    assert not stage_holds(tmp_path)
    file = tmp_path / "a.txt"
    file.write_text("a")
    save_json(tmp_path / "stage.json", {"sha256": {"a.txt": sha256(file)}})
    assert stage_holds(tmp_path)
    file.write_text("b")
    assert not stage_holds(tmp_path)
    file.unlink()
    assert not stage_holds(tmp_path)


@pytest.mark.parametrize("data", ["{", "[]", "{}", '{"sha256": {}}', '{"sha256": 1}'])
def test_a_damaged_stage_does_not_hold(data, tmp_path):
    (tmp_path / "stage.json").write_text(data)
    assert not stage_holds(tmp_path)


@pytest.mark.parametrize("name", ["a.txt", "stage.json"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_a_stage_that_cannot_be_read_is_not_unfinished(name, number, tmp_path, monkeypatch):
    """Its file is named: trained again, sound results would be lost. A missing one is unfinished."""
    (tmp_path / "a.txt").write_text("a")
    save_json(tmp_path / "stage.json", {"sha256": {"a.txt": sha256(tmp_path / "a.txt")}})
    real = open

    def denied(path, *arguments, **keywords):
        if str(path) == str(tmp_path / name):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", denied)
        with pytest.raises(Unreadable) as caught:
            stage_holds(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / name}: cannot be read (")
    assert stage_holds(tmp_path)
    (tmp_path / name).unlink()
    assert not stage_holds(tmp_path)
    (tmp_path / name).mkdir()
    assert not stage_holds(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "a.txt/b", "\0"])
def test_a_stage_of_names_that_cannot_be_does_not_hold(name, tmp_path):
    """Damage of stage.json, which the stage's being made again heals."""
    (tmp_path / "a.txt").write_text("a")
    save_json(tmp_path / "stage.json", {"sha256": {name: "0"}})
    assert not stage_holds(tmp_path)


@pytest.mark.parametrize("data", ["{}", "[]", '{"preset": "paper"}'])
def test_settings_of_another_program_are_refused_and_left(data, tmp_path):
    place = tmp_path / "config.json"
    place.write_text(data)
    for use in (Run, Run.check_folder):
        with pytest.raises(InputError, match=r"config\.json: .*; "):
            use(tmp_path)
    assert place.read_text() == data and list(tmp_path.iterdir()) == [place]


def test_a_setting_of_the_wrong_type_is_refused(copied, recorded_run):
    out = copied(recorded_run).out
    settings = json.loads((out / "config.json").read_text())
    assert Run(out).seeds == settings["seeds"]
    (out / "config.json").write_text(json.dumps({**settings, "seeds": []}))
    with pytest.raises(InputError, match="seeds"):
        Run(out)


def test_a_run_of_version_1_0_0_does_not_say_what_was_read(copied, recorded_run):
    """It is read all the same; something else than an object there is refused."""
    out = copied(recorded_run).out
    settings = json.loads((out / "config.json").read_text())
    assert settings["read"]["texts"] == settings["corpus"]["sentences"]
    old = {name: value for name, value in settings.items() if name != "read"}
    (out / "config.json").write_text(json.dumps(old))
    assert Run(out).finished_seeds() == recorded_run.finished_seeds()
    (out / "config.json").write_text(json.dumps({**settings, "read": []}))
    with pytest.raises(InputError, match="read"):
        Run(out)


def test_seeds_are_added_sorted_and_stored(copied, recorded_run):
    out = copied(recorded_run).out
    run = Run(out)
    wanted = sorted({*run.seeds, 9, 5})
    run.add_seeds([9, 5, 9])
    assert run.seeds == Run(out).seeds == wanted


@pytest.mark.parametrize("seeds", BAD_SEEDS, ids=repr)
def test_what_is_no_seed_is_not_added(seeds, copied, recorded_run, refused):
    """Written, it would make the run unreadable."""
    run = copied(recorded_run)
    place = run.out / "config.json"
    before, had = place.read_bytes(), run.seeds
    with refused("seeds = "):
        run.add_seeds(seeds)
    assert place.read_bytes() == before and run.seeds == had == Run(run.out).seeds


def test_settings_that_are_spoilt_meanwhile_are_not_written(copied, recorded_run, refused):
    run = copied(recorded_run)
    run.settings["stored"] = "yes"
    with refused("config.json", "stored"):
        run.add_seeds([9])
    assert Run(run.out).seeds == recorded_run.seeds


@pytest.mark.parametrize(
    "name, value", [("seeds", [0.5]), ("implementation", "slow"), ("epochs", 0), ("preset", 5)]
)
@pytest.mark.parametrize("there", [True, False])
def test_settings_that_could_not_be_read_are_not_written(
    name, value, there, copied, recorded_run, tmp_path, refused
):
    """Neither into a run that is there nor into a new folder, which stays empty."""
    out = copied(recorded_run).out if there else tmp_path / "new"
    before = (out / "config.json").read_bytes() if there else None
    given = recorded_run.corpus, recorded_run.vectors, recorded_run.known
    with refused(out / "config.json", name):
        Run.create(out, {**recorded_run.settings, name: value}, *given)
    assert (out / "config.json").read_bytes() == before if there else not out.exists()
    settings = dict(recorded_run.settings)
    assert Run.create(out, settings, *given).settings == settings == recorded_run.settings


def test_a_run_from_before_a_reading_has_what_was_done_then(recorded_run, copied):
    """Version 1.0.0 knows nothing of absent words; another setting that is missing is refused."""
    made = copied(recorded_run)
    place = made.out / "config.json"
    settings = json.loads(place.read_text())
    assert settings.pop("absent_words") == "move"
    save_json(place, settings)
    assert Run(made.out).config == made.config
    assert list(Run(made.out).settings)[:-1] == list(settings)
    del settings["optimizer"]
    save_json(place, settings)
    with pytest.raises(InputError, match="optimizer"):
        Run(made.out)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("judged", [1, 2, 3])
def test_a_sentence_is_judged_at_the_epoch_that_is_asked_for(first, judged):
    """Whether the untrained network was recorded too or not; no other row looks like it."""
    from replicate.run import Record

    epochs = np.arange(first, 4)
    predicted = np.array([[(epoch >> bit) & 1 for bit in range(2)] for epoch in epochs])
    record = Record(
        epochs=epochs, predicted=predicted, labels=np.array([1, 1]), lengths=np.array([3, 4]),
        change={}, judged=judged,
    )  # fmt: skip
    assert record.correct.tolist() == [bool(judged & 1), bool(judged & 2)]
