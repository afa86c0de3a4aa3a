"""Training in float16 with a scaled loss."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import sib
from helpers.nets import group_norm_net
from helpers.runs import Silent, metrics, tiny
from sib.config.train import InputConfig, ObjectiveConfig
from sib.training import TrainingFailed, optimizer, step, train


def half(out, **options):
    defaults = {
        "arch": "helpers.nets:group_norm_net",
        "image_size": 16,
        "epochs": 1,
        "precision": "float16",
        "objective": ObjectiveConfig(
            foreground_weight=1.0, background_weight=1e4, window_size=5, kind="published"
        ),
        "input": InputConfig(train_size=60, test_size=20),
    }
    return tiny(out, **(defaults | options))


def test_a_run_ends_near_the_one_in_float32(tmp_path):
    train(half(tmp_path / "half"), Silent())
    train(half(tmp_path / "single", precision="float32"), Silent())
    ours, theirs = (metrics(tmp_path / name)[0] for name in ("half", "single"))
    for key in ("loss", "cross_entropy", "reconstruction_scale"):
        assert ours[key] == pytest.approx(theirs[key], rel=0.02), key
    assert ours["terms"] == pytest.approx(theirs["terms"], rel=0.02)
    assert "steps_taken_back" not in ours


def test_resume_goes_on_with_the_same_scale(tmp_path):
    train(half(tmp_path / "whole"), Silent())
    stopped = half(tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        train(replace(stopped, save_every_steps=1), Silent(stop_after=2))
    train(replace(stopped, resume=True), Silent())
    whole, resumed = (load_file(tmp_path / n / "last.safetensors") for n in ("whole", "stopped"))
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


def test_overflows_find_the_scale_and_do_not_end_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(optimizer, "FIRST_SCALE", 2.0**18)
    train(half(tmp_path, bad_steps=1, epochs=6), Silent())
    taken_back = [record.get("steps_taken_back", 0) for record in metrics(tmp_path)]
    assert taken_back[0] > 0 and taken_back[-1] == 0


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path, monkeypatch):
    original = step.accumulate

    def bad(*arguments, **options):
        out = original(*arguments, **options)
        return out._replace(loss=out.loss * torch.nan)

    monkeypatch.setattr(step, "accumulate", bad)
    with pytest.raises(TrainingFailed, match="not finite in 2 steps in a row"):
        train(half(tmp_path, bad_steps=2), Silent())


def test_the_scale_multiplies_the_gradients_alone():
    torch.manual_seed(0)
    task = sib.SpatialIBTask(group_norm_net(), sib.SpatialIB(window_size=5))
    images, labels = torch.randn(6, 3, 16, 16), torch.arange(6) % 5
    for size in (6, 2):
        found = []
        for scale in (1.0, 8.0):
            task.zero_grad()
            out = sib.accumulate(task, images, labels, size, loss_scale=scale)
            found.append((out.loss, torch.cat([p.grad.flatten() for p in task.parameters()])))
        (loss, gradient), (other, scaled) = found
        assert torch.equal(loss, other)
        torch.testing.assert_close(scaled, 8 * gradient, rtol=1e-5, atol=1e-8)
