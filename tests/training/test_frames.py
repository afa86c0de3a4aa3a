"""How deep the training loop is: what one reads from its epoch to the call of the model."""

import sys
from pathlib import Path

import pytest

import sib
from sib.config.train import InputConfig, ObjectiveConfig, TrainConfig
from sib.training import train
from sib.training.reporter import NullReporter
from sib.training.start import build_model

SOURCE = str(Path(sib.__file__).parent)
MOST = 4
"""Frames between the loop over the batches of an epoch and the model's forward pass."""
OBJECTIVES = {
    "published": ObjectiveConfig(kind="published", window_size=5),
    "calibrated": ObjectiveConfig(),
}


def own_frames():
    """Functions of sib that are running, from the outermost to the innermost."""
    names, frame = [], sys._getframe()  # inspect.stack would read every source file
    while frame is not None:
        if frame.f_code.co_filename.startswith(SOURCE):
            names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
        frame = frame.f_back
    return names[::-1]


def watched(seen):
    """Makes the network as ever, and notes who calls it to train."""

    def build(*arguments):
        model, record = build_model(*arguments)
        model.register_forward_pre_hook(
            lambda module, _: seen.append(own_frames()) if module.training else None
        )
        return model, record

    return build


@pytest.mark.parametrize("method", ["published", "calibrated", "ce", "saliency_guided"])
@pytest.mark.parametrize("micro_batch", [None, 4])
def test_frames_between_the_epoch_loop_and_the_model(tmp_path, monkeypatch, method, micro_batch):
    seen = []
    monkeypatch.setattr("sib.training.prepare.build_model", watched(seen))
    objective = OBJECTIVES.get(method, ObjectiveConfig())
    config = TrainConfig(
        data="digits",
        out=tmp_path / "run",
        arch="small_resnet",
        method="sib" if method in OBJECTIVES else method,
        objective=objective,
        epochs=1,
        batch_size=8,
        micro_batch=micro_batch,
        image_size=16,
        workers=0,
        device="cpu",
        input=InputConfig(train_size=30, test_size=20),
    )
    train(config, NullReporter())
    inside = [
        stack[stack.index("loop._train_epoch") + 1 :]
        for stack in seen
        if "loop._train_epoch" in stack
    ]
    expected = ["step.run", "accumulate.accumulate", "task.forward"]
    steps = [each for each in inside if each[:3] == expected]
    assert len(steps) >= 3  # the others are the first pass over micro-batches
    assert max(map(len, steps)) <= MOST
    if micro_batch is None:
        assert steps == inside
