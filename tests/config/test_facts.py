"""Which options belong to which method, which are harmless, which may change on resume."""

import dataclasses
import inspect

import pytest
import torch
import yaml

import sib
from sib.cli.main import main, parse
from sib.config.facts import (
    deciding,
    flatten,
    harmless,
    idle,
    objective_of,
    options,
    resumable,
)
from sib.config.options import STEADY_INTERVAL, InputConfig, ObjectiveConfig, RivalConfig
from sib.config.stored import as_dict, configuration
from sib.config.train import TrainConfig
from sib.objectives.calibrated import CalibratedSpatialIB
from sib.training.setup import make_objective
from sib.utils.errors import InputError


def config(**values):
    return TrainConfig(data="digits", **values)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--hsic-scope global", "--hsic-scope is for --objective published; got calibrated"),
        (
            "--hsic-scope global --method energy",
            "--hsic-scope is for --method sib with --objective published; got energy",
        ),
        (
            "--hsic-scope global --objective published --objective.alignment ssim",
            "--hsic-scope global is for terms that compare images by HSIC",
        ),
        (
            "--method ce --objective.slope 3",
            "--objective.slope is for --method sib with --objective published; got ce",
        ),
        ("--method rrr --objective published", "--objective is for --method sib; got rrr"),
        ("--rival.at input", "--rival.at is for --method energy; got sib"),
        (
            "--method rrr --rival.balance-floor 1",
            "--rival.balance-floor is for --rival.balance, which is off",
        ),
        (
            "--method rrr --rival.masked-share 0.2",
            "--rival.masked-share is for --method saliency_guided; got rrr",
        ),
        ("--method ce --sib-fraction 0.5", "--sib-fraction is for --method sib; got ce"),
        (
            "--objective published --objective.area 0.3",
            "--objective.area is for --objective.mask area; got density",
        ),
        ("--schedule.gamma 0.5", "--schedule.gamma is for --schedule.kind step; got cosine"),
        (
            "--input.crop-area 0.5",
            "--input.crop-area is for --input.augment crop or randaug",
        ),
        ("--data birds --input.test-size 7", "--input.test-size is for --data digits; got birds"),
    ],
)
def test_an_option_that_does_nothing_is_refused(arguments, sentence, capsys):
    assert main(["train", "--data", "digits", *arguments.split()]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        "cub200/resnet50 --method ce",
        "cub200/resnet50 --objective calibrated",
        "imagenet/vit_b_32 --input.augment none --schedule.kind=cosine",
        "stanford_dogs/vit_b_32 --method=energy",
    ],
)
def test_a_recipe_leaves_out_what_the_method_does_not_have(arguments):
    found = parse(["train", *arguments.split()])
    defaults = {option.name: option.default for option in options(TrainConfig)}
    values = flatten(dataclasses.asdict(found))
    assert all(values[name] == defaults[name] for name in idle(TrainConfig, values))
    assert found.epochs == 90


def test_the_file_of_a_run_starts_a_run_of_another_method(tmp_path):
    own = ObjectiveConfig(kind="published", slope=3.0, background="hsic")
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(as_dict(config(objective=own, hsic_scope="global"))))
    again = parse(["train", "--config", str(file)])
    assert again.objective == own and again.hsic_scope == "global"
    baseline = parse(["train", "--config", str(file), "--method", "ce"])
    assert baseline.objective == ObjectiveConfig() and baseline.hsic_scope == "local"


def test_a_file_of_ones_own_is_held_to_its_method(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("data: digits\nmethod: ce\nobjective.slope: 3\n")
    with pytest.raises(InputError, match=r"--objective\.slope is for --method sib"):
        parse(["train", "--config", str(file)])


def test_runs_that_differ_in_harmless_options_are_one_configuration(tmp_path):
    one = config(out=tmp_path / "one", input=InputConfig(cache="off"), seed=1)
    other = config(
        out=tmp_path / "other",
        root=tmp_path,
        workers=0,
        device="cpu",
        seed=2,
        save_every_steps=3,
        bad_steps=9,
        checkpoint=True,
        input=InputConfig(cache=str(tmp_path)),
    )
    assert configuration(as_dict(one)) == configuration(as_dict(other))
    assert configuration(as_dict(one)) != configuration(as_dict(config(epochs=31)))
    longer = as_dict(one)
    longer["objective"]["image_weight"] = 0.2
    assert configuration(longer) != configuration(as_dict(one))


def test_options_that_do_nothing_do_not_tell_runs_apart():
    stored = as_dict(config(method="ce"))
    stored["objective"] |= {"slope": 3.0, "kind": "published"}
    assert configuration(stored) == configuration(as_dict(config(method="ce")))


def test_a_run_of_an_older_sib_lacks_options_and_is_the_same_configuration():
    stored = as_dict(config(objective=ObjectiveConfig(kind="published")))
    older = {key: value for key, value in stored.items() if key not in ("rival", "bad_steps")}
    older["objective"] = {key: stored["objective"][key] for key in ("slope", "window_size")}
    assert configuration(older) == configuration(stored)


def test_the_lists_are_those_of_before():
    assert harmless(TrainConfig) == {
        *("recipe", "root", "out", "device", "workers", "resume", "dry_run"),
        *("save_every_steps", "bad_steps", "checkpoint", "track", "input.cache"),
        *("memory_format", "cuda_graph"),
    }
    more = {"epochs", "micro_batch", "on_bad_image"}
    more |= {"freeze", "unfreeze_after", "early_stopping"}
    assert resumable(TrainConfig) == harmless(TrainConfig) - {"recipe", "memory_format"} | more
    assert {option.name for option in deciding(TrainConfig)} == {
        *("method", "objective.kind", "objective.mask"),
        *("schedule.kind", "input.augment", "data", "optimizer.kind", "objective.balance"),
        *("foreground", "rival.balance"),
    }


def test_the_options_of_the_objectives_are_arguments_of_their_classes():
    published = config(objective=ObjectiveConfig(kind="published")).objective_options
    assert published.keys() <= inspect.signature(sib.SpatialIB).parameters.keys()
    calibrated = config().objective_options
    assert isinstance(sib.SpatialIB.calibrated(**calibrated), torch.nn.Module)
    beside = {"kind", "foreground_layer", "foreground_area"}
    assert published.keys() | calibrated.keys() - {"stages"} | beside == {
        field.name for field in dataclasses.fields(ObjectiveConfig)
    }
    energy = config(method="energy", rival=RivalConfig(weight=2.0)).objective_options
    assert energy == {
        "weight": 2.0,
        "balance": False,
        "balance_floor": 0.0,
        "at": "final",
    }
    assert config(method="ce").objective_options == {}


def test_the_objective_is_the_kind_of_s_ib_or_the_method():
    assert objective_of({"method": "sib", "objective.kind": "published"}) == "published"
    assert objective_of({"method": "rrr", "objective.kind": "published"}) == "rrr"


def test_a_rival_is_balanced_with_the_floor_that_is_given():
    rival = RivalConfig(balance=True, balance_floor=0.5)
    objective = make_objective(config(method="rrr", rival=rival), torch.device("cpu"))
    assert objective.weighting.floor == 0.5


def test_the_steady_interval_is_a_multiple_of_the_first_interval():
    assert ObjectiveConfig().steady_interval == STEADY_INTERVAL == 32
    assert inspect.signature(CalibratedSpatialIB).parameters["steady_interval"].default == 32
    objective = make_objective(
        config(objective=ObjectiveConfig(steady_interval=32)), torch.device("cpu")
    )
    assert objective.weighting.steady_interval == 32
    with pytest.raises(InputError, match="steady-interval must be a multiple of 8"):
        config(objective=ObjectiveConfig(steady_interval=12))
    with pytest.raises(InputError, match="steady-interval"):
        config(objective=ObjectiveConfig(steady_interval=16, balance=False))
