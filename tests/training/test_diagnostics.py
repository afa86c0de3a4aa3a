"""What a run says of itself: the gradient of each term, and what a person should change."""

import json

import pytest
import torch

import sib
from helpers.nets import group_norm_net
from sib.config.train import InputConfig, ObjectiveConfig
from sib.training import TrainConfig, train
from sib.training.diagnostics import GradientRatios, TermMonitor
from sib.training.reporter import NullReporter


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 3, 16, 16, generator=generator), torch.arange(8) % 5


def gradient_of(model, loss):
    found = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    return torch.cat([each.flatten() for each in found]).norm()


@pytest.mark.parametrize("micro_batch", [8, 3])
@pytest.mark.parametrize("every_n_steps", [1, 4])
def test_each_term_is_measured_against_cross_entropy(micro_batch, every_n_steps):
    model, (images, labels) = group_norm_net(), batch()
    objective = sib.SpatialIB(1.0, 1e5, window_size=5)
    out = sib.SpatialIBTask(model, objective)(images, labels)
    plain = gradient_of(model, out.cross_entropy)
    terms = out.terms
    task = sib.SpatialIBTask(model, objective, every_n_steps=every_n_steps)
    ratios = GradientRatios(task)
    sib.accumulate(task, images, labels, micro_batch, ratios.add)
    expected = {
        "gradient_ratio": terms.loss,
        "foreground_gradient_ratio": terms.weighted["foreground"],
        "background_gradient_ratio": terms.weighted["background"],
    }
    found = ratios.values()
    assert found.keys() == expected.keys()
    for name, loss in expected.items():
        assert found[name] == pytest.approx((gradient_of(model, loss) / plain).item(), rel=1e-3)


def record(ratio=0.1, scale=1e-6):
    return {"gradient_ratio": ratio, "reconstruction_scale": scale, "accuracy": 0.5}


@pytest.mark.parametrize(
    ("ratio", "kinds"),
    [
        (9.9e-4, ["inert"]),
        (1e-3, []),
        (1.0, []),
        (1.01, ["dominant"]),
        (float("inf"), ["dominant"]),
    ],
)
def test_terms_that_are_too_weak_or_too_strong_are_named(ratio, kinds):
    assert list(TermMonitor().check(record(ratio))) == kinds


def test_the_sentences_say_what_to_change():
    inert, dominant = (TermMonitor().check(record(ratio)) for ratio in (2e-4, 3.0))
    assert inert["inert"].startswith("the S-IB terms are inert: their gradient is 2.0e-04 of")
    assert "raise --objective.background-weight" in inert["inert"]
    assert dominant["dominant"].startswith("the S-IB terms dominate: their gradient is 3 times")
    assert "lower --objective.background-weight" in dominant["dominant"]


def test_the_calibrated_objective_has_its_own_advice():
    monitor = TermMonitor(largest_scale=1.0, objective="calibrated")
    said = monitor.check(record(2e-4, scale=1e-9)) | monitor.check(record(3.0))
    assert set(said) == {"inert", "dominant", "collapsed"}
    for sentence in said.values():
        assert "--objective.image-weight" in sentence and "background-weight" not in sentence


def test_a_collapse_of_r_is_noticed_and_named():
    monitor = TermMonitor()
    assert not monitor.check(record(scale=1e-6))
    assert not monitor.check(record(scale=1.01e-9))
    assert (
        "R has collapsed: the mean of |R| is 9.0e-10"
        in monitor.check(record(scale=9e-10))["collapsed"]
    )
    assert list(monitor.check(record(scale=0.0))) == ["collapsed"]
    assert list(TermMonitor(largest_scale=1e-6).check(record(scale=1e-10))) == ["collapsed"]


def test_a_run_without_terms_is_not_warned_about():
    assert not TermMonitor().check({"accuracy": 0.5})


def test_each_kind_is_said_once():
    monitor = TermMonitor()
    first = monitor.unseen(monitor.check(record(1e-5)))
    assert len(first) == 1 and monitor.unseen(monitor.check(record(1e-5))) == []


class Listening(NullReporter):
    def __init__(self):
        self.said = []

    def info(self, sentence):
        self.said.append(sentence)


@pytest.mark.parametrize(
    ("objective", "kind"),
    [
        (ObjectiveConfig(kind="published", window_size=7, background_weight=1e-3), "inert"),
        (ObjectiveConfig(kind="calibrated"), None),
        (ObjectiveConfig(kind="calibrated", image_weight=1e3), "dominate"),
    ],
)
def test_a_run_says_it_on_screen_and_in_its_log(tmp_path, objective, kind):
    config = TrainConfig(
        data="digits",
        arch="small_resnet",
        image_size=16,
        epochs=2,
        workers=0,
        device="cpu",
        out=tmp_path / "run",
        objective=objective,
        input=InputConfig(train_size=80, test_size=20),
    )
    reporter = Listening()
    train(config, reporter)
    warned = [sentence for sentence in reporter.said if sentence.startswith("warning: ")]
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
    assert len(warned) == (kind is not None)
    if kind is None:
        assert all("warnings" not in each for each in records)
    else:
        assert kind in warned[0]
        assert kind in records[0]["warnings"][0]
