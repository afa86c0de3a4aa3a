"""A layer that is found by trying depends on the weights: a run keeps the one it began with."""

import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from helpers.nets import gated_skip
from helpers.runs import Silent, digits_run, same_weights, shown, stop_after
from sib.cli.main import main
from sib.evaluation.checkpoint import open_checkpoint
from sib.models.layers import cam_layer, chosen_layer
from sib.training import train
from sib.utils.errors import InputError

ARCH = "helpers.nets:gated_skip"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose gate has opened, so that no layer is found in what it has become."""
    path = tmp_path_factory.mktemp("tried") / "run"
    assert "layer: f (8 × 16 × 16)" in shown(path, arch=ARCH)
    for name in ("best", "last"):
        file = path / f"{name}.safetensors"
        with safe_open(file, "pt") as opened:
            facts = opened.metadata()
        save_file(load_file(file) | {"alpha": torch.ones(())}, file, facts)
    return path


def test_nothing_is_found_in_the_trained_weights(run):
    model = gated_skip(10)
    model.load_state_dict(load_file(run / "best.safetensors"))
    with pytest.raises(ValueError, match="layer must be given"):
        cam_layer(model.eval(), torch.zeros(1, 3, 16, 16))


def test_every_command_uses_the_layer_of_the_run(run, tmp_path):
    code = ["--device", "cpu", "--trust-code"]
    methods = ["--methods", "gradcam"]
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(photo)
    assert main(["evaluate", str(run), *code, *methods, "--metrics", "energy_pointing_game"]) == 0
    written = json.loads((run / "evaluation.json").read_text())
    assert (written["layer"], written["layers"]["layer"]) == ("f", "f")
    assert main(["explain", str(run), str(photo), *code, *methods, "--out", str(tmp_path)]) == 0
    assert main(["audit", str(run), *code]) == 0
    assert json.loads((run / "audit.json").read_text())["layer"] == "f"
    page = str(tmp_path / "page.html")
    assert main(["report", str(run), *code, *methods, "--out", page]) == 0


def test_a_resumed_run_keeps_it(tmp_path, monkeypatch):
    options = {"arch": ARCH, "epochs": 2, "save_every_steps": 1, "method": "sib"}
    shown(tmp_path / "whole", **options)
    stop_after(tmp_path / "parts", 5, **options)
    monkeypatch.setattr("sib.models.known_layers.last_bottleneck", lambda *_: None)
    shown(tmp_path / "parts", **options, resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert chosen_layer(open_checkpoint(tmp_path / "parts", CPU, trust_code=True).model) == "f"


def test_a_run_without_the_record_is_still_read_and_resumed(tmp_path):
    options = {"arch": ARCH, "epochs": 2, "save_every_steps": 1}
    stop_after(tmp_path / "run", 5, **options)
    file = tmp_path / "run" / "environment.json"
    facts = json.loads(file.read_text())
    assert facts.pop("tried_layer") == "f"
    file.write_text(json.dumps(facts))
    shown(tmp_path / "run", **options, resume=True)
    file.write_text(json.dumps(facts | {"tried_layer": "gone"}))
    with pytest.raises(InputError, match=r"environment.json is damaged: tried_layer"):
        train(digits_run(tmp_path / "run", **options | {"epochs": 3}, resume=True), Silent())


def test_a_known_layer_is_not_fixed_by_its_name(tmp_path):
    """Its tokens may be known to be row by row, which a name alone does not say."""
    shown(tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert facts["tried_layer"] is None and facts["layers"]["layer"] == "stages"
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["layer"] is None
    assert chosen_layer(open_checkpoint(tmp_path / "run", CPU).model) is None
