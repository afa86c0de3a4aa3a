"""The audit of a trained network, with intervals and a paired difference between two runs."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers.trained import trained
from sib.data import make_loader, open_data
from sib.data.normalization import normalise
from sib.evaluation.statistics import mean_interval, paired_difference
from sib.metrics.behaviour import CONDITIONS, behaviour_of, summarise, values_of
from sib.models import build


@dataclass
class Batches:
    """The test images of the built-in set, as a network is fed; can be read more than once."""

    loader: object

    def __iter__(self):
        for batch in self.loader:
            images = normalise(batch.images, torch.device("cpu"), "half")
            yield images, batch.labels, batch.foreground


@pytest.fixture(scope="module")
def tables():
    splits = open_data("digits", train_size=60, test_size=20, image_size=32)
    loader = make_loader(splits.test, image_size=32, batch_size=8, train=False)
    found = []
    for seed in (0, 1):
        model = build("small_resnet", 10, 32)
        model.load_state_dict(load_file(trained(seed=seed) / "best.safetensors"))
        found.append(behaviour_of(model, Batches(loader), mean=0.5, deviation=0.5))
    return found


def test_every_figure_is_there_and_is_the_mean_of_the_images(tables):
    found = summarise(tables[0])
    names, values = values_of(tables[0])
    interval = mean_interval(values.numpy(), resamples=200)
    assert found["scored"] == found["images"] == 20
    keys = {"correct": "accuracy", "changed": "changed", "log_odds_change": "log_odds_change"}
    rows = list(zip(names, *interval[:3], strict=True))
    for name, mean, low, high in rows[1:]:
        condition, _, key = name.partition("/")
        expected = found["conditions"][condition][keys[key]]
        if np.isnan(expected):
            assert np.isnan(mean) and found["conditions"][condition]["images"] == 0
            continue
        assert mean == pytest.approx(expected) and low <= mean <= high
    assert set(found["conditions"]) == set(CONDITIONS)
    assert found["conditions"]["exchanged_diffusion"]["images"] == 20


def test_two_runs_are_compared_on_the_same_images(tables):
    first, second = (values_of(table)[1].numpy()[None] for table in tables)
    names = values_of(tables[0])[0]
    assert torch.equal(tables[0]["donor"], tables[1]["donor"])
    difference = paired_difference(first, second, paired_seeds=False, resamples=200)
    before, after = (summarise(table)["conditions"]["greyed"] for table in tables)
    for name, key in (("greyed/correct", "accuracy"), ("greyed/changed", "changed")):
        column = names.index(name)
        assert difference.mean[column] == pytest.approx(after[key] - before[key])
        assert difference.images[column] == 20
