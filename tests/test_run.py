"""A run folder: what identifies its data, which stages hold, and what is refused."""

import json

import numpy as np
import pytest

from replicate.corpus import Corpus
from replicate.io.errors import InputError
from replicate.io.files import save_json, sha256
from replicate.run import Run, content_of, continued, differences, matrix_of, stage_holds


def corpus(words=("bad", "good"), tokens=(0, 1, 1), labels=(0, 1), names=("neg", "pos")):
    """Two sentences, of one word and of two."""
    return Corpus(
        words=np.array(words),
        tokens=np.array(tokens, dtype=np.int32),
        offsets=np.array([0, 1, 3]),
        labels=np.array(labels, dtype=np.int32),
        label_names=names,
        sha256={},
    )


# --- What identifies data --------------------------------------------------------


def test_the_same_content_has_the_same_checksum():
    assert content_of(corpus()) == content_of(corpus())


@pytest.mark.parametrize(
    "other",
    [
        {"words": ("bad", "fine")},
        {"tokens": (0, 0, 1)},
        {"labels": (1, 0)},
        {"names": ("pos", "neg")},
        {"words": ("bad\ngood", "")},
    ],
)
def test_other_content_has_another_checksum(other):
    assert content_of(corpus(**other)) != content_of(corpus())


def test_vectors_of_unknown_words_do_not_count():
    vectors, known = np.ones((3, 4), dtype=np.float32), np.array([True, False])
    first = matrix_of(vectors, known)
    vectors[2] = 7  # drawn anew for an unknown word
    assert matrix_of(vectors, known) == first
    vectors[1] = 7
    assert matrix_of(vectors, known) != first
    assert matrix_of(vectors, ~known) != matrix_of(vectors, known)


# --- Versions ----------------------------------------------------------------------


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


def test_only_what_differs_is_named():
    have = {"versions": {"numpy": "2.4", "scipy": "1"}, "environment": {"blas": "a"}}
    now = {"numpy": "2.5", "scipy": "1", "numba": "0.6"}
    assert differences(have, now, {"blas": "a"}) == ["numba none (now 0.6)", "numpy 2.4 (now 2.5)"]
    assert differences(have, have["versions"], {"blas": "b"}) == ["blas a (now b)"]
    assert differences(have, have["versions"], have["environment"]) == []


def test_versions_are_added_once():
    began = {"versions": {"numpy": "2.4"}, "environment": {"blas": "a"}, "seeds": [0]}
    later = {"versions": {"numpy": "2.5"}, "environment": {"blas": "a"}}
    assert continued(began, began) == began
    went_on = continued(began, later)
    assert went_on == {**began, "continued": [later]}
    assert continued(went_on, later) == continued(went_on, began) == went_on


# --- Stages and folders --------------------------------------------------------------


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


@pytest.mark.parametrize("data", ["{}", "[]", '{"preset": "paper"}'])
def test_settings_of_another_program_are_refused_and_left(data, tmp_path):
    place = tmp_path / "config.json"
    place.write_text(data)
    for use in (Run, Run.check_folder, Run.settings_of):
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
