"""The order of the weights in memory: chosen once, recorded, kept."""

import pytest
import torch
import yaml
from torchvision.models import resnet18

import sib
from helpers.nets import depthwise
from helpers.runs import same_weights, shown, stop_after
from sib import SpatialIBTask
from sib.models.memory_format import choose_memory_format, set_memory_format

ARCH = "helpers.nets:depthwise"


def test_depthwise_networks_are_faster_channels_last_on_a_cpu():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert choose_memory_format(depthwise(3), cpu) == "channels_last"
    assert choose_memory_format(depthwise(3), gpu) == "contiguous"  # not measured there
    assert choose_memory_format(resnet18(num_classes=3), cpu) == "contiguous"


def test_a_step_is_the_same_in_both_formats():
    torch.manual_seed(0)
    model = depthwise(3).double()
    images = torch.rand(4, 3, 24, 24, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0])
    found = {}
    for chosen in ("contiguous", "channels_last"):
        model.zero_grad()
        set_memory_format(model, chosen)
        out = SpatialIBTask(model, sib.SpatialIB.calibrated(layer="5", stages=[]))(images, labels)
        out.loss.backward()
        found[chosen] = [out.loss.detach(), *(each.grad.clone() for each in model.parameters())]
    assert model[5].weight.is_contiguous(memory_format=torch.channels_last)
    for one, two in zip(*found.values(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


def memory_format(path):
    return yaml.safe_load((path / "config.yaml").read_text())["memory_format"]


def test_the_choice_is_recorded_and_can_be_made_by_hand(tmp_path):
    assert "memory format: channels last" in shown(tmp_path / "auto", arch=ARCH)
    text = shown(tmp_path / "given", arch=ARCH, memory_format="contiguous")
    assert "memory format" not in text
    shown(tmp_path / "dense")
    formats = [memory_format(tmp_path / name) for name in ("auto", "given", "dense")]
    assert formats == ["channels_last", "contiguous", "contiguous"]


@pytest.mark.parametrize("method", ["ce", "sib"])
def test_a_resumed_run_keeps_it_and_ends_as_if_never_stopped(tmp_path, monkeypatch, method):
    options = {"arch": ARCH, "method": method, "epochs": 2, "save_every_steps": 1}
    options |= {"layer": "5", "stages": "none"} if method == "sib" else {}
    shown(tmp_path / "whole", **options)
    stop_after(tmp_path / "parts", 5, **options)
    monkeypatch.setattr("sib.training.start.choose_memory_format", lambda *_: "contiguous")
    shown(tmp_path / "parts", **options, resume=True)  # whatever today's rule says
    assert memory_format(tmp_path / "parts") == "channels_last"
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
