"""Every example trains for a few steps, with the real library."""

import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

import sib

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    """Import a module of `examples/`, as Python does for a script in that folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield import_module
    for name in set(sys.modules) - before:
        if (FOLDER / f"{name}.py").exists():
            del sys.modules[name]


def assert_trained(example, model):
    """The model is not at its start, and every figure about it can be had."""
    found = example("digits").measure(model, example("digits").load("test", 10))
    assert 0 <= found["accuracy"] <= 1
    assert 0 < found["energy"] < 1
    assert 0 < found["even map"] < 0.5
    assert all(p.isfinite().all() for p in model.parameters())


def test_plain_pytorch(example, capsys):
    model = example("plain_pytorch").train(epochs=1, size=32, batch_size=16)
    assert "epoch 1: cross-entropy" in capsys.readouterr().out
    assert_trained(example, model)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_lightning(example, tmp_path, precision):
    pytest.importorskip("lightning")
    model = example("lightning_module").train(
        epochs=1,
        size=64,
        accelerator="cpu",
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    assert_trained(example, model)


def test_lightning_makes_no_gradient_of_the_images(example, monkeypatch):
    pytest.importorskip("lightning")
    module = example("lightning_module").SpatialIBClassifier(sib.models.SmallResNet(10))
    called = []
    monkeypatch.setattr(module.task, "backward", called.append)
    loss = torch.zeros(())
    module.backward(loss)
    assert called == [loss]


def test_hugging_face(example, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = example("hugging_face").train(tmp_path, epochs=1, size=64, use_cpu=True)
    assert_trained(example, model)
    again = transformers.ResNetForImageClassification.from_pretrained(tmp_path)
    assert all(map(torch.equal, model.state_dict().values(), again.state_dict().values()))


def test_timm(example):
    pytest.importorskip("timm")
    model = example("timm_training").train(epochs=1, size=64, arch="test_resnet")
    assert type(model).__module__.startswith("timm.")
    assert_trained(example, model)


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_accelerate(example, precision):
    accelerate = pytest.importorskip("accelerate")
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    model = example("accelerate_loop").train(epochs=1, size=64, mixed_precision=precision)
    assert_trained(example, model)
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
