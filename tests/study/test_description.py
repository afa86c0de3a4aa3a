"""Study files: what they say, and what is wrong with them."""

import pytest

from helpers.studies import planned, written
from sib.config.options import ObjectiveConfig
from sib.study.description import read_study
from sib.utils.errors import InputError


def test_a_setting_takes_the_common_options_and_its_own_win(tmp_path):
    settings = {"ce": {"method": "ce", "epochs": 7, "optimizer.learning-rate": 0.5}}
    study, _ = planned(tmp_path, settings=settings)
    config = study.settings[0].points[0].config
    assert (config.data, config.method, config.arch) == (
        "digits",
        "ce",
        "helpers.nets:group_norm_net",
    )
    assert (config.epochs, config.batch_size, config.optimizer.learning_rate) == (7, 16, 0.5)
    assert config.objective == ObjectiveConfig()  # the common one is for method sib


def test_lists_make_a_grid_of_every_combination(tmp_path):
    settings = {
        "sib": {
            "objective": {"background_weight": [1, "1e5"], "slope": 3},
            "optimizer": {"learning_rate": [0.1, 0.2]},
        }
    }
    study, _ = planned(tmp_path, settings=settings)
    points = study.settings[0].points
    assert [point.name for point in points] == [
        "sib-background_weight=1-learning_rate=0.1",
        "sib-background_weight=1-learning_rate=0.2",
        "sib-background_weight=1e5-learning_rate=0.1",
        "sib-background_weight=1e5-learning_rate=0.2",
    ]
    assert points[3].config.objective.background_weight == 1e5
    assert points[3].config.optimizer.learning_rate == 0.2
    assert {point.config.objective.slope for point in points} == {3.0}


def test_a_single_value_keeps_the_settings_name(tmp_path):
    study, _ = planned(tmp_path)
    assert [point.name for s in study.settings for point in s.points] == ["ce", "sib"]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "ce"),
        ({"settings": {"a": {"method": "sib"}, "b": {"method": "ce"}}}, "b"),
        ({"settings": {"a": {"method": "sib"}}}, "a"),
        ({"reference": "sib"}, "sib"),
    ],
)
def test_the_reference_is_named_or_cross_entropy_or_the_first(tmp_path, changes, name):
    assert planned(tmp_path, **changes)[0].reference == name


def test_the_arguments_of_a_run_stand_for_its_configuration(tmp_path):
    from sib.cli.main import parse

    _, runs = planned(tmp_path, split_seeds=[0, 4])
    for run in runs:
        assert parse(["train", *run.arguments]) == run.config


GRID = {"ce": {"method": "ce"}, "sib": {"objective": {"slope": [1, 2]}}}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": [1]}, "seed is not an option of a study, perhaps seeds"),
        ({"colour": 1}, "colour is not an option of a study; allowed are data, root, out"),
        ({"data": None}, "data is missing"),
        ({"out": None}, "out is missing"),
        ({"data": 3}, "data must be text; got 3"),
        ({"out": ""}, "out must be text; got ''"),
        (
            {"seeds": []},
            r"seeds must be a list of at least one number, such as \[0, 1, 2\]; got \[\]",
        ),
        ({"seeds": 3}, "seeds must be a list of at least one number"),
        ({"seeds": [0, -1]}, r"seeds must hold whole numbers from 0 to 2\^63 - 1; got -1"),
        ({"seeds": [True]}, "seeds must hold whole numbers .*; got True"),
        ({"seeds": [1, 1]}, r"seeds has a duplicate: \[1, 1\]"),
        ({"split_seeds": [0.5]}, "split_seeds must hold whole numbers"),
        ({"settings": {}}, "settings must hold at least one `NAME: options`"),
        ({"settings": ["ce"]}, "settings must hold options of its own, indented"),
        ({"settings": {"a b": {}}}, "settings.a b: a setting's name must be up to 64 letters"),
        ({"settings": {1: {}}}, "not just a number; got 1"),
        ({"settings": {"a": "ce"}}, "settings.a must hold options of sib train, indented"),
        (
            {"settings": {"a": {"metod": "ce"}}},
            "settings.a: metod is not an option, perhaps method",
        ),
        (
            {"settings": {"a": {"objective": {"slop": 1}}}},
            "settings.a: objective.slop is not an option, perhaps objective.slope",
        ),
        (
            {"settings": {"a": {"method": "cee"}}},
            "settings.a: --method 'cee' is unknown, perhaps ce",
        ),
        ({"settings": {"a": {"epochs": 0}}}, "settings.a: --epochs must be at least 1; got 0"),
        ({"settings": {"a": {"epochs": [1, "x"]}}}, "settings.a: epochs must be int; got 'x'"),
        ({"settings": {"a": {"epochs": []}}}, "settings.a: epochs is an empty list"),
        ({"settings": {"a": {"epochs": [1, 1]}}}, r"settings.a: epochs has a duplicate"),
        (
            {"settings": {"a": {"objective": {"slope": 1}, "objective.slope": 2}}},
            "settings.a: objective.slope is duplicated",
        ),
        (
            {"settings": {"a": {"method": "ce"}, "b": {"method": "ce"}}},
            "a and b are the same configuration",
        ),
        (
            {"settings": {"a": {"arch": ["timm/x", "timm:x"]}}},
            "two grid points would share the folder a-arch=timm_x",
        ),
        (
            {"settings": {"a": {"epochs": list(range(1, 40)), "batch_size": list(range(2, 40))}}},
            "settings.a has more than 1000 grid points",
        ),
        (
            {"settings": {"a": {"seed": 1}}},
            "settings.a: seed belongs under the study's own key seeds",
        ),
        (
            {"settings": {"a": {"input": {"split_seed": 1}}}},
            "settings.a: input.split_seed belongs under the study's own key split_seeds",
        ),
        ({"common": {"out": "x"}}, "common: out belongs under the study's own key out"),
        ({"common": {"resume": True}}, "common: resume is not an option of a study's run"),
        (
            {"common": {"recipe": "cub200/resnet18"}},
            "common: recipe is not an option of a study's run",
        ),
        (
            {"settings": {"a": {"input": {"test_size": 30}}}},
            "settings.a: input.test_size decides which images there are",
        ),
        ({"common": {"epochs": [1, 2]}}, r"common: epochs must be a single value; got \[1, 2\]"),
        ({"common": {"epoch": 1}}, "common: epoch is not an option, perhaps epochs"),
        ({"common": 4}, "common must hold options of its own, indented; got 4"),
        ({"common": {"selection": "test"}}, "settings.ce: selection must be validation"),
        ({"common": {"device": "cuda:1"}}, "settings.ce: device must be auto, cpu, cuda or mps"),
        ({"evaluate": {"split": "train"}}, "evaluate: split is not an option; allowed are methods"),
        ({"evaluate": {"methods": []}}, "evaluate: methods must be a list of names"),
        ({"evaluate": {"methods": "vjp"}}, "evaluate: methods must be a list of names"),
        ({"evaluate": {"methods": ["grad"]}}, "evaluate: --methods has no 'grad'; there are "),
        ({"evaluate": {"limit": 0}}, "evaluate: --limit must be at least 1; got 0"),
        ({"evaluate": {"metrics": ["sparseness"]}}, "metrics must name energy_pointing_game"),
        ({"reference": "no"}, "reference must be one of ce, sib; got 'no'"),
        ({"choose_by": "test"}, "choose_by must be accuracy, foreground_energy or foreground_en"),
        (
            {"accuracy_margin": 0.1},
            "accuracy_margin is only used with choose_by foreground",
        ),
        (
            {"choose_by": "foreground_energy_within_accuracy", "accuracy_margin": 2},
            "accuracy_margin must be a number from 0 to 1; got 2",
        ),
        ({"parallel": 0}, "parallel must be at least 1; got 0"),
        ({"parallel": "two"}, "parallel must be a whole number; got 'two'"),
    ],
)
def test_a_bad_file_is_told_in_a_sentence_with_its_key(tmp_path, changes, sentence):
    file = written(tmp_path, **changes)
    with pytest.raises(InputError, match=sentence) as error:
        read_study(file)
    assert str(error.value).startswith(str(file)) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- a\n", "must hold `option: value` lines"),
        ("a: [\n", "is not valid YAML"),
        ("a: &x 1\nb: *x\n", "aliases are not read"),
        ("settings:\n  ce: {}\n  ce: {}\n", "'ce' is duplicated"),
        ("!!python/name:os.system\n", "could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_study(tmp_path, text, sentence):
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_study(file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none.yaml cannot be read: No such file"):
        read_study(tmp_path / "none.yaml")


def test_energies_are_needed_only_to_choose_from_a_grid_by_them(tmp_path):
    assert not planned(tmp_path, settings=GRID)[0].needs_energy
    assert not planned(tmp_path, choose_by="foreground_energy")[0].needs_energy
    assert planned(tmp_path, settings=GRID, choose_by="foreground_energy")[0].needs_energy
