"""What is trained, how fast, and when it ends."""

import json
import math
from dataclasses import replace

import pytest
import torch
import torchvision.models
from safetensors.torch import load_file
from torch import nn

from helpers.nets import built
from helpers.runs import same_weights, shown, stop_after
from sib.config.options import OptimizerConfig
from sib.config.train import InputConfig, ObjectiveConfig
from sib.models import build
from sib.models.build import head_names
from sib.training import TrainConfig
from sib.training.average import WeightAverage
from sib.training.freezing import Freezing, check_frozen_start
from sib.training.groups import blocks, parameter_groups
from sib.training.loop import Training
from sib.training.optimizer import Update
from sib.training.setup import make_task
from sib.utils.errors import InputError

CPU = torch.device("cpu")


def config(**options):
    return TrainConfig(data="digits", arch="small_resnet", image_size=16, **options)


def changed(folder, before):
    """Names of the weights that differ from a state."""
    after = load_file(folder / "last.safetensors")
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    out = tmp_path_factory.mktemp("source") / "run"
    shown(out)
    return out


def start_of(source):
    return load_file(source / "best.safetensors")


@pytest.mark.parametrize("method", ["ce", "sib", "energy"])
def test_a_frozen_backbone_stays_bit_for_bit(source, tmp_path, method):
    options = {"objective": ObjectiveConfig(stage_weight=0)} if method == "sib" else {}
    shown(tmp_path / "a", weights=str(source), freeze="backbone", method=method, **options)
    assert changed(tmp_path / "a", start_of(source)) == head_names("small_resnet", 32)


def test_batch_norm_in_frozen_layers_keeps_its_statistics(source, tmp_path):
    shown(tmp_path / "a", weights=str(source), freeze="stem,stages.0", batch_norm="train")
    moved = changed(tmp_path / "a", start_of(source))
    assert not [name for name in moved if name.startswith(("stem.", "stages.0."))]
    assert any("running_mean" in name for name in moved)


def test_frozen_weights_train_from_a_later_epoch(source, tmp_path):
    options = {"weights": str(source), "freeze": "backbone", "unfreeze_after": 1}
    text = " ".join(shown(tmp_path / "a", **options, epochs=1).split())
    assert "--unfreeze-after 1: the run ends after epoch 1, so nothing is unfrozen" in text
    head = sum(start_of(source)[name].numel() for name in head_names("small_resnet", 32))
    assert f"M parameters, {head:,} of them trained; plain step" in text
    assert changed(tmp_path / "a", start_of(source)) == head_names("small_resnet", 32)
    assert "nothing is unfrozen" not in shown(tmp_path / "whole", **options, epochs=2)
    assert "stem.0.weight" in changed(tmp_path / "whole", start_of(source))


def test_what_is_frozen_may_change_on_resume(source, tmp_path):
    options = {"weights": str(source), "epochs": 2, "ema": 0.9}
    shown(tmp_path / "a", **(options | {"epochs": 1}), freeze="backbone")
    shown(tmp_path / "a", **options, resume=True)
    assert "stem.0.weight" in changed(tmp_path / "a", start_of(source))
    shown(tmp_path / "b", **(options | {"epochs": 1}))
    before = load_file(tmp_path / "b" / "last.safetensors")
    shown(tmp_path / "b", **options, freeze="backbone", resume=True)
    assert changed(tmp_path / "b", before) == head_names("small_resnet", 32)


@pytest.mark.parametrize(
    ("freeze", "sentence"),
    [
        ("stm", r"no layer of this name that has weights; perhaps stem"),
        ("backbone,head", r"backbone is given alone, without other layers"),
        ("stem,zzz", "--freeze zzz: .*it has stem, stages, "),
        ("stem,stages,head", "every weight of small_resnet is frozen"),
    ],
)
def test_layers_that_cannot_be_frozen(freeze, sentence):
    with pytest.raises(InputError, match=sentence):
        Freezing(build("small_resnet", 3, 32), config(freeze=freeze))


def test_layers_are_not_frozen_at_random_values_in_silence(source, tmp_path):
    for later in ({}, {"unfreeze_after": 1}):
        with pytest.raises(InputError, match="--freeze backbone needs --weights"):
            shown(tmp_path / "a", freeze="backbone", **later)
    assert not (tmp_path / "a").exists()
    heard = shown(tmp_path / "b", freeze="stem", unfreeze_after=1, dry_run=True)
    assert "--freeze stem without --weights: these layers keep their random values for 1" in heard
    for trained in ({"weights": str(source)}, {"arch": "module:function"}, {"resume": True}):
        assert check_frozen_start(replace(config(freeze="backbone"), **trained)) is None


def test_a_layer_name_is_not_a_prefix():
    model = nn.ModuleDict({"a": nn.Linear(1, 1), "ab": nn.Linear(1, 1)})
    Freezing(model, config(freeze="a"))
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"freeze": ""}, "--freeze must be none, backbone"),
        ({"unfreeze_after": 2}, "--unfreeze-after needs --freeze"),
        ({"freeze": "backbone", "unfreeze_after": 0}, "--unfreeze-after must be at least 1"),
        ({"ema": 1.0}, "--ema must lie between 0 and 1"),
        ({"label_smoothing": 1.0}, "--label-smoothing must be at least 0 and below 1"),
        (
            {"mixup": 0.2, "method": "energy"},
            "--mixup and --cutmix are for --method sib, ce, rrr, cgc",
        ),
        ({"mixup": -0.1}, "--mixup must be at least 0"),
        ({"early_stopping": 0}, "--early-stopping must be at least 1"),
        ({"optimizer": OptimizerConfig(momentum=0.5)}, "momentum is for --optimizer.kind sgd"),
        (
            {"optimizer": OptimizerConfig(kind="sgd", momentum=1.0)},
            "momentum must be at least 0 and below 1",
        ),
        ({"optimizer": OptimizerConfig(layer_decay=0.0)}, "layer-decay must be above 0"),
        (
            {"optimizer": OptimizerConfig(head_learning_rate=0.0)},
            "head-learning-rate must be above",
        ),
    ],
)
def test_options_out_of_range(options, sentence):
    with pytest.raises(InputError, match=sentence):
        config(**options)


def test_without_options_there_is_one_group_of_all_parameters():
    model = build("small_resnet", 3, 32)
    groups, scales = parameter_groups(model, config())
    assert scales == [1.0]
    assert [id(p) for p in groups[0]["params"]] == [id(p) for p in model.parameters()]
    assert type(Update(model, config(), CPU, 3).optimizer) is torch.optim.AdamW


@pytest.mark.parametrize(
    ("arch", "size", "expected"),
    [
        ("resnet18", 64, 9),  # the stem and eight residual blocks
        ("vit_b_32", 32, 13),  # the patch embedding and twelve layers
        ("timm/tf_efficientnet_lite0", 64, 18),  # the stem, sixteen blocks, the last convolution
    ],
)
def test_blocks_from_the_input_on(arch, size, expected):
    model = built(arch, 3, size)
    head = head_names(arch, size)
    found = blocks(model, head)
    assert len(found) == expected
    assert sorted(name for block in found for name in block) == sorted(
        {n for n, _ in model.named_parameters()} - head
    )


def test_layer_decay_and_the_heads_rate_by_hand():
    options = OptimizerConfig(learning_rate=0.1, layer_decay=0.5, head_learning_rate=0.4)
    run_config = TrainConfig(data="digits", arch="resnet18", image_size=64, optimizer=options)
    model = torchvision.models.resnet18(num_classes=3)
    update = Update(model, run_config, CPU, 10)
    update.set_learning_rate(0)
    rates = {id(p): group["lr"] for group in update.optimizer.param_groups for p in group["params"]}
    assert rates[id(model.fc.bias)] == pytest.approx(0.4)
    assert rates[id(model.layer4[1].conv1.weight)] == pytest.approx(0.05)
    assert rates[id(model.layer4[0].downsample[0].weight)] == pytest.approx(0.025)
    assert rates[id(model.bn1.weight)] == pytest.approx(0.1 * 0.5**9)
    assert update.learning_rate == pytest.approx(0.1)
    assert len(rates) == len(list(model.parameters()))


def test_sgd_by_hand():
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    options = OptimizerConfig(kind="sgd", learning_rate=0.1, weight_decay=0.0, momentum=0.5)
    update = Update(model, config(optimizer=options), CPU, 10**6)
    for expected in (0.8, 0.5):  # the gradient is 2: v = 2, then 3
        update.set_learning_rate(0)
        update.begin()
        loss = 2 * model.weight.sum()
        loss.backward()
        assert update.finish(loss.detach())
        assert model.weight.item() == pytest.approx(expected)


def test_the_average_by_hand():
    model = nn.BatchNorm1d(1)
    average = WeightAverage(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(12.0)
        model.running_mean.fill_(11.0)
        model.num_batches_tracked.fill_(7)
    average.update()  # d = min(0.9, 2 / 11)
    assert average.values["weight"].item() == pytest.approx(1 * 2 / 11 + 12 * 9 / 11)
    assert average.values["running_mean"].item() == pytest.approx(9.0)
    assert average.values["num_batches_tracked"].item() == 7
    with average.in_place():
        assert model.weight.item() == pytest.approx(10.0)
        assert average.own["weight"].item() == 12.0
    assert model.weight.item() == 12.0
    average.steps = 1000
    average.update()
    assert average.values["weight"].item() == pytest.approx(0.9 * 10 + 0.1 * 12)


def test_the_average_is_measured_saved_and_resumed_exactly(tmp_path):
    options = {"ema": 0.9, "epochs": 2}
    shown(tmp_path / "whole", **options)
    result = json.loads((tmp_path / "whole" / "result.json").read_text())
    assert 0 <= result["ema"]["test"]["accuracy"] <= 1
    lines = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    assert all("accuracy" in json.loads(line)["ema"]["validation"] for line in lines)
    stop_after(tmp_path / "parts", 5, **options, save_every_steps=2)
    shown(tmp_path / "parts", **options, resume=True)
    for name in ("ema", "last"):
        assert same_weights(tmp_path / "whole", tmp_path / "parts", name)
    own = load_file(tmp_path / "whole" / "last.safetensors")
    average = load_file(tmp_path / "whole" / "ema.safetensors")
    assert not torch.equal(own["stem.0.weight"], average["stem.0.weight"])


def test_an_average_does_not_change_the_run(tmp_path):
    shown(tmp_path / "with", ema=0.9)
    shown(tmp_path / "without")
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("with", "without"))
    assert all(torch.equal(value, two[key]) for key, value in one.items())


def test_early_stopping(tmp_path, monkeypatch):
    measured = iter([0.5, 0.6, 0.6, 0.1, 0.9])
    own = Training._measure

    def measure(self, loader):
        found = own(self, loader)
        return found._replace(accuracy=next(measured), cross_entropy=1.0)

    monkeypatch.setattr(Training, "_measure", measure)
    text = shown(tmp_path / "a", epochs=9, early_stopping=2)
    assert "stopped after epoch 4: 2 without a better one than epoch 2" in text
    result = json.loads((tmp_path / "a" / "result.json").read_text())
    assert (result["stopped_after"], result["best_epoch"]) == (4, 2)
    assert len((tmp_path / "a" / "metrics.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize("augment", ["randaugment", "trivial"])
def test_stronger_augmentation_in_a_run(tmp_path, augment):
    options = InputConfig(train_size=40, test_size=20, augment=augment)
    shown(tmp_path / "a", input=options)
    assert (tmp_path / "a" / "result.json").exists()


@pytest.mark.parametrize("method", ["ce", "sib", "energy", "cgc", "rrr", "saliency_guided"])
def test_every_criterion_with_every_method(tmp_path, method):
    options = {"objective": ObjectiveConfig(stage_weight=0)} if method == "sib" else {}
    options |= {"label_smoothing": 0.1, "class_weights": "balanced"}
    if method in ("ce", "sib", "cgc", "rrr"):
        options |= {"mixup": 0.4, "cutmix": 1.0}
    shown(tmp_path / "a", method=method, **options)
    line = json.loads((tmp_path / "a" / "metrics.jsonl").read_text().splitlines()[0])
    assert line["cross_entropy"] > 0
    assert (tmp_path / "a" / "result.json").exists()


@pytest.mark.parametrize("option", [{"label_smoothing": 0.1}, {"mixup": 0.4}, {"cutmix": 1.0}])
def test_an_option_changes_the_weights(tmp_path, option):
    shown(tmp_path / "plain")
    shown(tmp_path / "other", **option)
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("plain", "other"))
    assert not torch.equal(one["stem.0.weight"], two["stem.0.weight"])


def test_balanced_weights_reach_the_task():
    model = build("small_resnet", 2, 32)
    task = make_task(config(method="ce", class_weights="balanced"), model, CPU, [1, 3])
    logits, labels = torch.zeros(2, 2), torch.tensor([0, 1])
    loss = task.classification_loss(logits, labels)
    assert loss.item() == pytest.approx(math.log(2) * (2 + 2 / 3) / 2)
    assert "criterion.class_weights" not in task.state_dict()


def test_mixing_in_micro_batches_and_resumed_exactly(tmp_path):
    options = {"mixup": 0.4, "epochs": 2, "micro_batch": 5, "label_smoothing": 0.1}
    shown(tmp_path / "whole", **options)
    stop_after(tmp_path / "parts", 5, **options, save_every_steps=2)
    shown(tmp_path / "parts", **options, resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
