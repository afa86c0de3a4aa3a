"""Runs on images with several labels, and runs of a network with one logit."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from helpers.nets import group_norm_net
from helpers.processes import in_two
from helpers.runs import Silent, metrics, same_weights, tiny
from sib.config.options import OptimizerConfig
from sib.config.train import InputConfig, ObjectiveConfig
from sib.training import train

PUBLISHED = ObjectiveConfig(
    foreground_weight=1.0, background_weight=1e4, window_size=5, kind="published"
)


def one_logit(classes):
    """A network of the user's own, which gives (B, 1) for two classes."""
    return nn.Sequential(group_norm_net(3), nn.Linear(3, 1))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Bright squares: red on the left, green on the right, or both; and folders of two classes."""
    root = tmp_path_factory.mktemp("labels")
    generator = np.random.default_rng(0)
    rows = ["image,labels"]
    for number in range(60):
        pixels = generator.integers(0, 90, size=(16, 16, 3), dtype=np.uint8)
        kinds = (("red",), ("green",), ("red", "green"))[number % 3]
        if "red" in kinds:
            pixels[4:12, 2:7, 0] = 250
        if "green" in kinds:
            pixels[4:12, 9:14, 1] = 250
        for place in (root / "several", root / "two" / kinds[0]):
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{number}.png")
        rows.append(f"{number}.png,{';'.join(kinds)}")
    (root / "labels.csv").write_text("\n".join(rows))
    return root


KINDS = ("several", "one logit")


def config(data, kind, out, **options):
    own = {"data": str(data / "two"), "arch": "training.test_label_kinds:one_logit"}
    if kind == "several":
        own = {"data": str(data / "several"), "labels": data / "labels.csv"}
        own["arch"] = "helpers.nets:group_norm_net"
    fixed = {
        "image_size": 16,
        "input": InputConfig(cache="off", drop_last=True),
        "objective": PUBLISHED,
    }
    return tiny(out, **(own | fixed | options))


def weights(run):
    return load_file(run / "last.safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_run_continues_bit_by_bit(data, tmp_path, kind):
    options = {"ema": 0.9, "mixup": 0.2, "label_smoothing": 0.1, "class_weights": "balanced"}
    train(config(data, kind, tmp_path / "whole", **options), Silent())
    options["save_every_steps"] = 1
    with pytest.raises(KeyboardInterrupt):
        train(config(data, kind, tmp_path / "parts", **options), Silent(stop_after=3))
    train(config(data, kind, tmp_path / "parts", resume=True, **options), Silent())
    for name in ("last", "best", "ema"):
        assert same_weights(tmp_path / "whole", tmp_path / "parts", name)
    whole, parts = (metrics(tmp_path / name)[-1] for name in ("whole", "parts"))
    for key in ("loss", "validation", "ema"):
        assert whole[key] == parts[key]


@pytest.mark.parametrize("kind", KINDS)
def test_micro_batches_take_the_same_course(data, tmp_path, kind):
    train(config(data, kind, tmp_path / "whole", epochs=1), Silent())
    train(config(data, kind, tmp_path / "micro", epochs=1, micro_batch=5), Silent())
    one, other = (metrics(tmp_path / name)[0] for name in ("whole", "micro"))
    for key in ("loss", "cross_entropy", "accuracy"):
        assert one[key] == pytest.approx(other[key], rel=1e-3), key
    for key, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "micro")[key], value, rtol=0, atol=2e-4)


def work(rank, folder):
    data = folder / "data"
    for kind in KINDS:
        options = {"batch_size": 4, "epochs": 1, "hsic_scope": "global"}
        train(config(data, kind, folder / kind, **options), Silent())


def test_two_processes_take_the_course_of_one(data, tmp_path):
    (tmp_path / "data").symlink_to(data)
    in_two(work, tmp_path)
    for kind in KINDS:
        alone = config(data, kind, tmp_path / f"{kind} alone", epochs=1, hsic_scope="global")
        train(alone, Silent())
        one, other = (metrics(tmp_path / name)[0] for name in (kind, f"{kind} alone"))
        for key in ("loss", "cross_entropy"):
            assert one[key] == pytest.approx(other[key], rel=1e-3), key
        for key, value in one["validation"].items():
            assert value == pytest.approx(other["validation"][key], abs=2e-3, nan_ok=True), key


def test_several_labels_stop_early_by_map(data, tmp_path):
    # steps below the resolution of float32, after which no epoch is better than the first
    options = {"method": "ce", "objective": ObjectiveConfig(), "early_stopping": 1, "ema": 0.5}
    options["optimizer"] = OptimizerConfig(learning_rate=1e-12)
    train(config(data, "several", tmp_path / "run", epochs=30, **options), Silent())
    figures = [each["validation"] for each in metrics(tmp_path / "run")]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["stopped_after"] == len(figures) < 30
    best = max(figures, key=lambda each: (each["map_macro"], -each["cross_entropy"]))
    assert figures[result["best_epoch"] - 1] == best
    assert result["validation_map_macro"] == best["map_macro"]
    assert {"map_macro", "f1_macro"} <= set(result["ema"]["test"])
