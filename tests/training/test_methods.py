"""Training by every method, and guided training, through the loop."""

import json
import re
from itertools import product
from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers import runs
from sib.config.train import InputConfig, ObjectiveConfig, RivalConfig
from sib.data import Batch
from sib.functional.exchange import exchange_backgrounds
from sib.training import TrainConfig, step, train
from sib.training.guidance import known_foreground
from sib.training.reporter import NullReporter
from sib.utils.errors import InputError


def tiny(out, **options):
    """At 16 pixels, in batches of the usual size."""
    defaults = {
        "image_size": 16,
        "batch_size": TrainConfig.batch_size,
        "input": InputConfig(train_size=80, test_size=20),
    }
    return runs.tiny(out, **(defaults | options))


def records(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


RUNS = {
    "saliency_guided": {"method": "saliency_guided"},
    "cgc": {"method": "cgc"},
    "rrr": {"method": "rrr"},
    "energy": {"method": "energy"},
    "energy at the input": {"method": "energy", "rival": RivalConfig(at="input")},
    "half of the annotation": {"method": "energy", "guided_share": 0.5},
    "calibrated": {"objective": ObjectiveConfig(kind="calibrated")},
    "guided": {"objective": ObjectiveConfig(kind="calibrated"), "guided_share": 1.0},
    "guided, before other backgrounds": {
        "objective": ObjectiveConfig(kind="calibrated"),
        "guided_share": 1.0,
        "background_exchange": 0.7,
    },
    "guided, published": {
        "objective": ObjectiveConfig(kind="published", window_size=7),
        "guided_share": 0.3,
    },
}


@pytest.mark.parametrize("name", RUNS)
def test_every_method_trains_goes_on_and_logs_its_term(tmp_path, name):
    train(tiny(tmp_path, **(RUNS[name] | {"epochs": 1})), NullReporter())
    result = train(tiny(tmp_path, **RUNS[name], resume=True), NullReporter())
    assert 0 <= result["test"]["accuracy"] <= 1
    first, second = records(tmp_path)
    assert first["gradient_ratio"] > 0 and second["loss"] != first["loss"]
    method = RUNS[name].get("method", "sib")
    if method != "sib":
        term = {"rrr": "right_reasons"}.get(method, method)
        added = first["weights"][term] * first["terms"][term]
        assert added == pytest.approx(first["loss"] - first["cross_entropy"], abs=1e-5)


@pytest.mark.parametrize("name", ["rrr", "energy", "guided"])
def test_micro_batches_take_the_same_first_step(tmp_path, name):
    found = []
    for size in (None, 8):
        folder = tmp_path / str(size)
        options = {"epochs": 1, "micro_batch": size, **RUNS[name]}
        train(tiny(folder, **options), NullReporter())
        found.append(records(folder)[0])
    # batch norm sees other batches, so the terms are near one another, not equal
    assert found[0]["gradient_ratio"] == pytest.approx(found[1]["gradient_ratio"], rel=0.5)


def test_the_backgrounds_are_those_of_other_images(tmp_path, monkeypatch):
    seen = []

    def exchange(images, known, share):
        found = exchange_backgrounds(images, known, share)
        seen.append((images, known, found, share))
        return found

    monkeypatch.setattr(step, "exchange_backgrounds", exchange)
    train(tiny(tmp_path, epochs=1, **RUNS["guided, before other backgrounds"]), NullReporter())
    images, known, found, share = seen[-1]
    assert share == 0.7
    assert (found != images).any() and not ((found != images) & known).any()


def batch(names):
    count = len(names)
    foreground = torch.ones(count, 1, 2, 2, dtype=torch.bool)
    return Batch(torch.zeros(count, 3, 2, 2), torch.zeros(count), foreground, None, names)


def test_the_same_images_are_annotated_every_time():
    names = [f"image {number}" for number in range(2000)]
    found = known_foreground(batch(names), 0.3, 0).flatten(1).any(dim=1)
    again = known_foreground(batch(names[::-1]), 0.3, 0).flatten(1).any(dim=1)
    assert torch.equal(found, again.flip(0))
    assert abs(found.float().mean().item() - 0.3) < 0.03
    more = known_foreground(batch(names), 0.6, 0).flatten(1).any(dim=1)
    assert (more | ~found).all()  # a larger share keeps the smaller one's images
    other = known_foreground(batch(names), 0.3, 1).flatten(1).any(dim=1)
    assert not torch.equal(found, other)
    assert known_foreground(batch(names), 0.0, 0) is None
    assert known_foreground(batch(names), 1.0, 0).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "rrr"}, "--method rrr needs foregrounds, and the training images of --data"),
        ({"method": "energy"}, "--method energy needs foregrounds"),
        ({"guided_share": 0.5}, "--guided-share 0.5 needs foregrounds"),
    ],
)
def test_a_data_set_without_annotation_is_refused_before_anything_is_written(
    tmp_path, options, sentence
):
    for number, name in product(range(12), ("a", "b")):
        file = tmp_path / "images" / name / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (20 * number, 0, 0)).save(file)
    config = tiny(tmp_path / "run", data=str(tmp_path / "images"), input=InputConfig(), **options)
    with pytest.raises(InputError, match=sentence):
        train(config, NullReporter())
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"guided_share": 1.5}, "--guided-share must be from 0 to 1; got 1.5"),
        ({"background_exchange": 0.5}, "--background-exchange needs foregrounds to train with"),
        (
            {"guided_share": 1.0, "background_exchange": 1.5},
            "--background-exchange must be from 0 to 1; got 1.5",
        ),
        ({"method": "ce", "guided_share": 0.5}, "--guided-share is for --method sib, rrr, energy"),
        ({"rival": RivalConfig(weight=2.0)}, "--rival.weight is for --method saliency_guided, rrr"),
        (
            {"method": "rrr", "guided_share": 0.0},
            "--guided-share must be above 0 for --method rrr; got 0.0",
        ),
        ({"method": "rrr", "stages": "stages.0"}, "--stages is for --method sib"),
        ({"stages": "stages.0,"}, "--stages must be names of modules, separated by commas"),
        ({"method": "rrr", "rival": RivalConfig(at="input")}, "--rival.at is for --method energy"),
        (
            {"method": "cgc", "rival": RivalConfig(temperature=0.0)},
            "--rival.temperature must be above 0 and be finite; got 0.0",
        ),
        (
            {"method": "saliency_guided", "rival": RivalConfig(masked_share=1.0)},
            "--rival.masked-share must lie between 0 and 1, both excluded; got 1.0",
        ),
        (
            {"method": "rrr", "rival": RivalConfig(balance=True, balance_floor=1.5)},
            "--rival.balance-floor must be from 0 to 1; got 1.5",
        ),
        (
            {"method": "energy", "rival": RivalConfig(weight=-1.0)},
            "--rival.weight must be at least",
        ),
        ({"cuda_graph": True, "micro_batch": 2}, "--cuda-graph and --micro-batch cannot be"),
        ({"cuda_graph": True, "checkpoint": True}, "--cuda-graph and --checkpoint cannot be"),
        (
            {
                "objective": ObjectiveConfig(kind="calibrated"),
                "cuda_graph": True,
                "guided_labels": "each",
                "guided_share": 1.0,
                "labels": Path("labels.csv"),
            },
            "--cuda-graph and --guided-labels each cannot be combined",
        ),
        (
            {"objective": ObjectiveConfig(kind="calibrated", slope=3.0)},
            "--objective.slope is for --objective published; got calibrated",
        ),
        (
            {"objective": ObjectiveConfig(kind="published", image_weight=1.0)},
            "--objective.image-weight is for --objective calibrated; got published",
        ),
    ],
)
def test_options_that_do_not_go_together_are_told(tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence.replace("(", r"\(")):
        tiny(tmp_path / "run", **options)


def test_cuda_graphs_need_a_gpu_before_anything_is_read(tmp_path):
    reporter = runs.Silent()
    with pytest.raises(InputError, match="--cuda-graph needs a CUDA GPU; this run is on cpu"):
        train(tiny(tmp_path / "run", cuda_graph=True, device="cpu"), reporter)
    assert not reporter.said and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"layer": "nosuch"},
            "--layer: layer must be a module of the model or its name; got 'nosuch'",
        ),
        (
            {"method": "ce", "layer": "nosuch"},
            "--layer: layer must be a module of the model or its name; got 'nosuch'",
        ),
        (
            {"layer": "head"},
            "--arch small_resnet, --layer: layer head must give a feature map",
        ),
        (
            {"stages": "head"},
            "--arch small_resnet, --stages: layer head must give a feature map",
        ),
    ],
)
def test_a_layer_that_does_not_serve_is_told_before_anything_is_written(
    tmp_path, options, sentence
):
    with pytest.raises(InputError, match=re.escape(sentence)):
        train(tiny(tmp_path / "run", **options), NullReporter())
    assert not (tmp_path / "run").exists()
