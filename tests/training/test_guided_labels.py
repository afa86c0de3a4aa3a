"""Training guided label by label: the foregrounds of the labels, and runs with them."""

import json

import pytest
import torch

from helpers.runs import Silent, metrics, same_weights, tiny
from helpers.several import images
from sib.config.options import ObjectiveConfig
from sib.config.train import InputConfig
from sib.data import open_data
from sib.data.cache import cache_sources
from sib.data.label_objects import LabelObjectSource
from sib.data.loader import make_loader
from sib.training import train
from sib.training.guidance import drawn_labels
from sib.utils.errors import InputError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return images(tmp_path_factory.mktemp("several"))


def opened(data):
    options = {"labels": data / "labels.csv", "annotations": str(data / "coco.json")}
    return open_data(str(data / "photos"), image_size=16, **options)


@pytest.mark.parametrize(
    ("augment", "cached"),
    [("none", False), ("flip", False), ("flip", True), ("crop", False), ("trivial", False)],
)
def test_each_label_has_its_squares(data, tmp_path, augment, cached):
    splits = opened(data)
    source = splits.train
    if cached:
        source = cache_sources({"train": source}, 16, tmp_path)["train"]
    objects = LabelObjectSource(source, splits.train, 16, "crop")
    options = {"image_size": 16, "batch_size": 8, "augment": augment, "train": True, "seed": 3}
    for batch in make_loader(objects, **options):
        own, union = batch.label_foregrounds, batch.foreground
        assert own.shape[1:] == (2, 16, 16) and union.shape[1:] == (1, 16, 16)
        assert torch.equal(own.any(dim=1, keepdim=True), union)
        assert not own[batch.labels == 0].any()
        assert not (own[:, 0] & own[:, 1]).any()
        if augment != "trivial":  # which changes colours
            white = batch.images.float().mean(dim=1, keepdim=True)
            assert (white[union] > 60).all() and white[union].mean() > 190  # blurred at the edge
    if augment == "none":
        left, right = (own[:, k].any(dim=1).nonzero()[:, 1] for k in (0, 1))
        assert left.max() < 8 <= right.min()


def test_padded_masks_are_background(data):
    splits = opened(data)
    objects = LabelObjectSource(splits.train, splits.train, (16, 24), "pad")
    (batch, *_) = make_loader(objects, image_size=(16, 24), resize="pad", batch_size=9, train=True)
    assert batch.images[..., 0].float().mean() == 128
    assert not batch.label_foregrounds[..., :4].any()


def test_one_annotated_label_is_drawn_for_each_image():
    foreground = torch.zeros(3, 4, 2, 2, dtype=torch.bool)
    foreground[0, 1:, 0], foreground[1, 2] = True, True
    counts = torch.zeros(4)
    for step in range(300):
        drawn = drawn_labels(foreground, ["a", "b", "c"], step, seed=0)
        known = drawn.flatten(2).any(dim=2)
        assert known.sum(dim=1).tolist() == [1, 1, 0] and known[1, 2]
        assert torch.equal(drawn[known], foreground[known])
        counts += known[0]
    assert counts[0] == 0 and (counts[1:] > 75).all()
    again = drawn_labels(foreground, ["a", "b", "c"], 7, seed=0)
    assert torch.equal(again, drawn_labels(foreground, ["a", "b", "c"], 7, seed=0))


def config(data, out, **options):
    own = {
        "data": str(data / "photos"),
        "labels": data / "labels.csv",
        "arch": "helpers.nets:group_norm_net",
        "layer": "6",
        "image_size": 16,
        "batch_size": 8,
        "objective": ObjectiveConfig(),
        "guided_share": 1.0,
        "input": InputConfig(cache="off", annotations=str(data / "coco.json"), augment="flip"),
    }
    return tiny(out, **(own | options))


def test_runs_with_each_form(data, tmp_path):
    losses = {}
    for form in ("union", "drawn", "each"):
        train(config(data, tmp_path / form, epochs=1, guided_labels=form), Silent())
        losses[form] = metrics(tmp_path / form)[0]["loss"]
    assert len(set(losses.values())) == 3
    assert losses["drawn"] == pytest.approx(losses["each"], rel=0.1)


def test_a_stopped_run_draws_the_same(data, tmp_path):
    options = {"guided_labels": "drawn", "mixup": 0.2, "cutmix": 0.5, "background_exchange": 0.5}
    train(config(data, tmp_path / "whole", **options), Silent())
    options["save_every_steps"] = 1
    with pytest.raises(KeyboardInterrupt):
        train(config(data, tmp_path / "parts", **options), Silent(stop_after=3))
    train(config(data, tmp_path / "parts", resume=True, **options), Silent())
    assert same_weights(tmp_path / "whole", tmp_path / "parts", "last")


def test_what_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="--guided-labels each needs --labels and --guided-share"):
        config(data, tmp_path / "run", guided_labels="each", guided_share=0.0)
    with pytest.raises(InputError, match="--foreground pretrained cannot be combined"):
        config(
            data, tmp_path / "run", guided_labels="each", foreground="pretrained", weights="a.pt"
        )
    with pytest.raises(InputError, match="guided-labels"):
        config(data, tmp_path / "run", guided_labels="each", method="energy")
    content = json.loads((data / "coco.json").read_text())
    del content["categories"]
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps(content))
    with pytest.raises(InputError, match="that name the class of each object"):
        train(
            config(
                data,
                tmp_path / "run",
                guided_labels="each",
                input=InputConfig(cache="off", annotations=str(bare)),
            ),
            Silent(),
        )
    assert not (tmp_path / "run").exists()
