"""Which runs there are, and what speaks against starting them."""

import dataclasses
import json
import re

import pytest
import yaml

from helpers.pictures import save_classes
from helpers.studies import COMMON, planned, pretend_evaluated, pretend_trained
from sib.config.stored import as_dict
from sib.study.commands import next_command
from sib.study.joined import split
from sib.study.plan import VALIDATION, check_runs, check_unused
from sib.utils.errors import InputError
from sib.utils.locks import FolderLock

GRID = {"ce": {"method": "ce"}, "sib": {"objective": {"slope": [1, 2]}}}


def test_all_settings_of_a_seed_come_before_the_next_seed(tmp_path):
    _, runs = planned(tmp_path, split_seeds=[0, 3])
    assert [run.name for run in runs] == [
        *("ce-0", "sib-0", "ce-1", "sib-1"),
        *("ce-split3-0", "sib-split3-0", "ce-split3-1", "sib-split3-1"),
    ]
    assert (runs[-1].config.seed, runs[-1].config.input.split_seed) == (1, 3)
    assert runs[-1].config.input.train_size == 60


def test_what_is_to_be_done_next(tmp_path):
    _, (run, *_) = planned(tmp_path)
    first, then = split(next_command(run, ("test",)))
    assert first == ["train", *run.arguments]
    assert then[:2] == ["evaluate", str(run.folder)]
    assert next_command(run, ()) == ["train", *run.arguments]  # a grid point, chosen by accuracy
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(yaml.safe_dump(as_dict(run.config)))
    assert split(next_command(run, ("test",)))[0] == ["train", *run.arguments, "--resume"]
    pretend_trained(run)
    command, last = split(next_command(run, (VALIDATION, "test")))
    assert command[:2] == last[:2] == ["evaluate", str(run.folder)]
    assert command[command.index("--split") + 1] == "validation"
    assert last[last.index("--split") + 1] == "test"
    assert "--trust-code" in command  # the file itself names helpers.nets:group_norm_net
    pretend_evaluated(run, VALIDATION, 0.5, [0.1, 0.2])
    command = next_command(run, (VALIDATION, "test"))
    assert command[command.index("--split") + 1] == "test"
    pretend_evaluated(run, "test", 0.5, [0.1, 0.2])
    assert next_command(run, (VALIDATION, "test")) is None


def test_weights_may_be_removed_once_they_were_measured(tmp_path):
    _, (run, *_) = planned(tmp_path)
    pretend_trained(run)
    kept = run.weights.read_bytes()
    run.weights.unlink()
    assert run.is_trained() and next_command(run, ()) is None
    assert next_command(run, ("test",))[0] == "train"  # there is nothing left to measure
    run.weights.write_bytes(kept)
    pretend_evaluated(run, "test", 0.5, [0.1, 0.2])
    run.weights.unlink()
    assert run.is_trained() and next_command(run, ("test",)) is None
    (run.folder / "evaluation.csv").write_text("")
    assert next_command(run, ("test",))[0] == "train"


def test_an_evaluation_with_a_foreground_for_each_label_counts(tmp_path):
    _, (run, *_) = planned(tmp_path)
    pretend_trained(run)
    pretend_evaluated(run, "test", 0.5, [0.1, 0.2])
    path = run.folder / "evaluation.json"
    found = json.loads(path.read_text())
    found["options"]["foregrounds"] = "of label"
    path.write_text(json.dumps(found))
    assert run.is_evaluated("test")


@pytest.mark.parametrize("damage", ["weights", "scores", "limit", "methods"])
def test_an_evaluation_of_other_weights_or_in_another_way_is_made_again(tmp_path, damage):
    _, (run, *_) = planned(tmp_path)
    pretend_trained(run)
    pretend_evaluated(run, "test", 0.5, [0.1, 0.2])
    assert run.is_evaluated("test")
    if damage == "weights":
        run.weights.write_bytes(b"others")
    elif damage == "scores":
        (run.folder / "evaluation.csv").write_text("")
    else:
        other = {"limit": {"limit": 5}, "methods": {"methods": ["saliency", "vjp", "gradcam"]}}
        _, (run, *_) = planned(
            tmp_path, evaluate={"metrics": ["energy_pointing_game"]} | other[damage]
        )
    assert not run.is_evaluated("test")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"epochs": 2}, "epochs was 1 and is 2"),
        (
            {"objective": {"kind": "published", "window_size": 3}},
            "objective.window_size was 5 and is 3",
        ),
        ({"batch_size": 8, "epochs": 3}, "batch_size was 16 and is 8; epochs was 1 and is 3"),
    ],
)
def test_a_run_of_another_configuration_is_refused_with_the_difference(
    tmp_path, changes, difference
):
    _, (_, run, *_) = planned(tmp_path)
    pretend_trained(run)
    study, runs = planned(tmp_path, common=COMMON | changes)
    with pytest.raises(
        InputError, match=f"sib-0 was started with different options: {difference}; change the"
    ):
        check_runs(study, runs)


def test_what_changes_no_result_may_change_and_younger_options_may_be_missing(tmp_path):
    _, (run, *_) = planned(tmp_path)
    pretend_trained(run)
    stored = as_dict(run.config)
    del stored["bad_steps"], stored["objective"]["slope"]
    (run.folder / "config.yaml").write_text(yaml.safe_dump(stored))
    study, runs = planned(tmp_path, common=COMMON | {"workers": 3})
    check_runs(study, runs)


def test_a_run_from_before_the_calibrated_objective_is_one_of_the_published(tmp_path):
    published = {"a": {"method": "sib", "objective": {"kind": "published"}}}
    _, (run, *_) = planned(tmp_path, settings=published, reference="a")
    pretend_trained(run)
    stored = as_dict(run.config)
    del stored["objective"]["kind"]
    (run.folder / "config.yaml").write_text(yaml.safe_dump(stored))
    check_runs(*planned(tmp_path, settings=published, reference="a"))
    calibrated = {"a": {"method": "sib", "objective": {"kind": "calibrated"}}}
    common = {key: value for key, value in COMMON.items() if key != "objective"}
    study, runs = planned(tmp_path, settings=calibrated, reference="a", common=common)
    with pytest.raises(InputError, match=r"kind was 'published' and is 'calibrated'"):
        check_runs(study, runs)


def test_a_calibrated_run_from_before_balanced_weights_has_fixed_ones(tmp_path):
    common = {key: value for key, value in COMMON.items() if key != "objective"}
    fixed = {"kind": "calibrated", "balance": False, "image_weight": 0.6}
    settings = {"a": {"method": "sib", "objective": fixed, "layer": "6"}}
    _, (run, *_) = planned(tmp_path, settings=settings, reference="a", common=common)
    pretend_trained(run)
    stored = as_dict(run.config)
    del stored["objective"]["balance"]
    (run.folder / "config.yaml").write_text(yaml.safe_dump(stored))
    check_runs(*planned(tmp_path, settings=settings, reference="a", common=common))
    balanced = {"a": {"method": "sib", "objective": fixed | {"balance": True}}}
    study, runs = planned(tmp_path, settings=balanced, reference="a", common=common)
    with pytest.raises(InputError, match="balance was False and is True"):
        check_runs(study, runs)


@pytest.mark.parametrize(
    "own", [{"method": "ce"}, {"objective": {"kind": "published", "window_size": 7}}]
)
def test_other_defaults_of_the_calibrated_objective_are_no_matter_of_other_runs(tmp_path, own):
    common = {key: value for key, value in COMMON.items() if key != "objective"}
    _, (run, *_) = planned(tmp_path, settings={"a": own}, reference="a", common=common)
    pretend_trained(run)
    stored = as_dict(run.config)
    stored["objective"] |= {"image_weight": 0.6, "stage_weight": 2.0}
    (run.folder / "config.yaml").write_text(yaml.safe_dump(stored))
    check_runs(*planned(tmp_path, settings={"a": own}, reference="a", common=common))
    stored["objective"]["slope"] = 3.0
    (run.folder / "config.yaml").write_text(yaml.safe_dump(stored))
    study, runs = planned(tmp_path, settings={"a": own}, reference="a", common=common)
    if own == {"method": "ce"}:  # which has no slope either
        check_runs(study, runs)
        return
    with pytest.raises(InputError, match=r"slope was 3\.0 and is 10\.0"):
        check_runs(study, runs)


def test_a_run_that_outlived_its_study_is_waited_for(tmp_path):
    _, runs = planned(tmp_path)
    runs[1].folder.mkdir(parents=True)
    lock = FolderLock(runs[1].folder)
    lock.acquire()
    with pytest.raises(InputError, match=r"sib-0 is in use by process .*: wait for it, or end it"):
        check_unused(runs)
    lock.release()
    check_unused(runs)


def test_names_that_meet_are_refused(tmp_path):
    settings = {"a": {"method": "ce"}, "a-split2": {"method": "sib"}}
    study, runs = planned(tmp_path, settings=settings, split_seeds=[0, 2])
    with pytest.raises(InputError, match="two runs would share the folder runs/a-split2-0"):
        check_runs(study, runs)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": "./nothing"}, "nothing"),
        ({"common": COMMON | {"arch": "resnet17"}}, "settings.ce: "),
        (
            {"settings": {"wide": {"objective": {"window_size": [5, 31]}}}},
            "settings.wide-window_size=31: --objective: window-size must not exceed the image",
        ),
        ({"split_seeds": [0], "common": COMMON | {"input": {"test_size": 3}}}, "test_size"),
        (
            {
                "settings": {"a": {"layer": "nosuch"}},
                "common": {key: value for key, value in COMMON.items() if key != "objective"},
            },
            "settings.a: --arch helpers.nets:group_norm_net, --layer: layer must be a module",
        ),
    ],
)
def test_what_only_data_and_models_can_tell(tmp_path, changes, sentence):
    study, runs = planned(tmp_path, **changes)
    with pytest.raises(InputError, match=re.escape(sentence)) as error:
        check_runs(study, runs)
    assert str(error.value).startswith(str(study.file))


def test_choosing_by_energy_needs_foregrounds(tmp_path):
    save_classes(tmp_path / "images", count=30)
    common = {key: value for key, value in COMMON.items() if key != "input"}
    options = {"data": str(tmp_path / "images"), "common": common, "settings": GRID}
    study, runs = planned(tmp_path, choose_by="foreground_energy", **options)
    with pytest.raises(InputError, match="choose_by foreground_energy needs foregrounds, and the"):
        check_runs(study, runs)
    check_runs(dataclasses.replace(study, choose_by="accuracy"), runs)


def test_methods_that_learn_from_foregrounds_need_them(tmp_path):
    save_classes(tmp_path / "images", count=30)
    common = {key: value for key, value in COMMON.items() if key != "input"}
    options = {"data": str(tmp_path / "images"), "common": common}
    study, runs = planned(tmp_path, settings={"ce": {"method": "ce"}}, **options)
    check_runs(study, runs)
    study, runs = planned(tmp_path, settings={"x": {"method": "rrr"}}, **options)
    with pytest.raises(InputError, match=r"settings\.x: --method rrr needs foregrounds, and the"):
        check_runs(study, runs)
