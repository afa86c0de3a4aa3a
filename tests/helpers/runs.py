"""Small training runs inside of the test's process."""

import json
from io import StringIO

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from sib.cli.console import ConsoleReporter
from sib.config.train import InputConfig
from sib.training import TrainConfig, train

FILES = {
    *(".lock", "config.yaml", "environment.json", "metrics.jsonl", "result.json"),
    *("best.safetensors", "last.safetensors", "state-before.pt", "state.pt"),
}
"""What a finished run of two epochs holds."""


class Silent:
    """A reporter that shows nothing and can stop the run after some steps."""

    def __init__(self, stop_after=None):
        self.left = stop_after
        self.costs, self.epochs, self.said, self.seen = [], [], [], 0

    def data(self, splits, config):
        self.splits = splits

    def info(self, sentence):
        self.said.append(sentence)

    def batches(self, what, loader):
        yield from loader

    def cost(self, cost, config, steps):
        self.costs.append((cost, steps))

    def steps(self, epoch, loader):
        for batch in loader:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left = None if self.left is None else self.left - 1
            self.seen += 1
            yield batch

    def epoch(self, record):
        self.epochs.append(record)

    def result(self, result):
        pass


def tiny(out, **options):
    """Two epochs of six steps: 46 images to train on, 10 to validate, 20 to test."""
    defaults = {
        "data": "digits",
        "arch": "small_resnet",
        "image_size": 16,
        "epochs": 2,
        "batch_size": 8,
        "workers": 0,
        "device": "cpu",
        "input": InputConfig(train_size=56, test_size=20),
    }
    return TrainConfig(out=out, **(defaults | options))


def metrics(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def digits_run(out, **options):
    """One epoch of cross-entropy on 60 built-in images, unless the options say otherwise."""
    defaults = {
        "data": "digits",
        "arch": "small_resnet",
        "method": "ce",
        "epochs": 1,
        "batch_size": 16,
        "image_size": 16,
        "workers": 0,
        "device": "cpu",
        "input": InputConfig(train_size=60, test_size=20, cache="off"),
    }
    return TrainConfig(out=out, **(defaults | options))


def shown(out, **options):
    """Train on the built-in images, and give the text on the screen."""
    console = Console(file=StringIO(), width=200)
    train(digits_run(out, **options), ConsoleReporter(console))
    return console.file.getvalue()


def stop_after(out, steps, **options):
    """Train as `shown` does, until the run is interrupted."""
    with pytest.raises(KeyboardInterrupt):
        train(digits_run(out, **options), Silent(stop_after=steps))


def same_weights(one, other, name="last"):
    """Whether two runs end with the same weights, bit for bit."""
    first, second = (load_file(run / f"{name}.safetensors") for run in (one, other))
    return first.keys() == second.keys() and all(
        torch.equal(value, second[key]) for key, value in first.items()
    )
