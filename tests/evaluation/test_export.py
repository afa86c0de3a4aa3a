"""``sib export``: the formats give the model's logits, and what they cannot is not written."""

import errno
import json
import os

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import sib
from helpers.trained import quiet, trained
from sib.cli.main import main
from sib.config.deploy import ExportConfig
from sib.evaluation import export as exporting
from sib.utils.errors import InputError, ProblemsFound


@pytest.mark.parametrize("kind", ["onnx", "pt2", "torchscript", "safetensors"])
def test_exports_give_the_models_logits(tmp_path, kind, capsys):
    out = tmp_path / f"net.{exporting.ENDINGS[kind]}"
    command = ["export", str(trained()), "--format", kind, "--out", str(out), "--device", "cpu"]
    assert main(command) == 0
    assert "logits differ from the model's by at most" in capsys.readouterr().out
    facts = json.loads((tmp_path / f"{out.name}.json").read_text())
    assert facts["normalization"] == {"mean": [0.5] * 3, "std": [0.5] * 3}
    classifier, x = sib.load(trained(), device="cpu"), torch.randn(5, 3, 32, 32)
    expected = classifier.model(x)
    if kind == "onnx":
        onnx.checker.check_model(onnx.load(out), full_check=True)
        session = onnxruntime.InferenceSession(out)
        found = torch.from_numpy(session.run(["logits"], {"images": x.numpy()})[0])
    elif kind == "pt2":
        found = torch.export.load(out).module()(x)
    elif kind == "torchscript":
        found = torch.jit.load(str(out))(x)
    else:
        found = sib.load(out, device="cpu").model(x)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["torchscript", "safetensors"])
def test_a_full_disk_is_named_and_an_earlier_file_stays(tmp_path, kind, capsys, monkeypatch):
    out = tmp_path / "net"
    out.write_text("old")

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(type(out), "write_bytes", full)
    command = ["export", str(trained()), "--format", kind, "--out", str(out), "--device", "cpu"]
    assert main(command) == 2
    assert "net cannot be written: No space left on device" in capsys.readouterr().err
    assert out.read_text() == "old" and os.listdir(tmp_path) == ["net"]


def test_onnx_names_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs onnx, onnxscript, onnxruntime, which are not inst"):
        exporting.export(ExportConfig(run=trained(), format="onnx"), quiet())


class Branching(nn.Module):
    """Its course depends on the images, as a tensor."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images):
        return self.inner(images) if images.sum() > 0 else self.inner(-images)


class BranchingInSilence(Branching):
    """Its course depends on the images, as a number: a trace takes one branch."""

    def forward(self, images):
        logits = self.inner(images)
        return 3 * logits if images[0, 0, 0, 0].item() > 0 else logits


@pytest.fixture
def wrap(monkeypatch):
    """Has the exported model wrapped in a module."""
    own = exporting.load_from_options

    def use(wrapper):
        def load(*arguments, **options):
            classifier = own(*arguments, **options)
            classifier.model = wrapper(classifier.model)
            return classifier

        monkeypatch.setattr(exporting, "load_from_options", load)

    return use


def test_what_cannot_be_exported_is_told(tmp_path, wrap):
    wrap(Branching)
    config = ExportConfig(run=trained(), format="pt2", device="cpu", out=tmp_path / "n.pt2")
    with pytest.raises(
        InputError, match="--format pt2: small_resnet cannot be exported this way: "
    ):
        exporting.export(config, quiet())
    assert not config.out.exists()


@pytest.mark.parametrize("kind", ["pt2", "torchscript"])
def test_an_earlier_export_survives_one_that_fails(tmp_path, wrap, kind, capfd):
    """A trace is checked with images of both signs."""
    wrap(BranchingInSilence)
    out = tmp_path / "net"
    out.write_bytes(b"an earlier one")
    config = ExportConfig(run=trained(), format=kind, device="cpu", out=out)
    with pytest.raises((InputError, ProblemsFound), match=r"cannot be exported|is not written"):
        exporting.export(config, quiet())
    assert out.read_bytes() == b"an earlier one" and list(tmp_path.iterdir()) == [out]
    assert capfd.readouterr().err == ""


def test_a_wrong_export_is_not_written(tmp_path, monkeypatch):
    def wrong(classifier, example, path):
        path.write_bytes(b"x")
        return lambda batch: classifier.model(batch) + 1

    monkeypatch.setitem(exporting.WRITERS, "pt2", wrong)
    config = ExportConfig(run=trained(), format="pt2", device="cpu", out=tmp_path / "n.pt2")
    with pytest.raises(ProblemsFound, match="its logits would differ"):
        exporting.export(config, quiet())
    assert not config.out.exists()
