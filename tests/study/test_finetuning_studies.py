"""The studies of fine-tuning: valid files, whose options may be newer than the command."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from sib.config.train import TrainConfig
from sib.study import settings
from sib.study.description import read_study
from sib.study.plan import plan_runs
from sib.utils.errors import InputError

STUDIES = Path(__file__).parents[2] / "studies"
FILES = sorted(STUDIES.glob("finetune-*.yaml"))


@dataclass(frozen=True)
class Nested:
    rate: float = 1.0


@dataclass(frozen=True)
class LaterConfig(TrainConfig):
    """With the options that the files need, whether or not `TrainConfig` has them."""

    weights: str | None = None
    batch_norm: Literal["auto", "train", "frozen"] = "auto"
    foreground: Literal["auto", "colours", "pretrained"] = "auto"
    later: Nested = dataclasses.field(default_factory=Nested)


@pytest.fixture
def later(monkeypatch):
    monkeypatch.setattr(settings, "TrainConfig", LaterConfig)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_study_plans_nine_settings_under_five_seeds(file, later):
    study = read_study(file)
    runs = plan_runs(study)
    assert len(FILES) == 3 and len(runs) == 45
    names = ["ce", "sib", "sib_floor", "guided", "guided_tenth", "ce_long"]
    names += ["saliency_guided", "rrr", "energy"]
    assert [setting.name for setting in study.settings] == names
    assert study.reference == "ce" and len({run.folder for run in runs}) == 45
    shares = {run.setting: run.config.annotated_share for run in runs}
    assert shares == {
        "ce": 0.0,
        "sib": 0.0,
        "sib_floor": 0.0,
        "guided": 1.0,
        "guided_tenth": 0.1,
        "ce_long": 0.0,
        "saliency_guided": 0.0,
        "rrr": 1.0,
        "energy": 1.0,
    }
    for run in runs:
        assert run.config.batch_norm == "frozen" and run.config.image_size == 224
        assert "--weights" in run.arguments and run.config.optimizer.learning_rate == 3e-4
        assert run.config.weights.endswith("weights/lite0.safetensors")


def described(folder, weights):
    file = folder / "study.yaml"
    file.write_text(
        f"data: digits\nout: out\ncommon: {{weights: {weights}}}\n"
        "settings: {a: {method: ce}, b: {method: ce, later: {rate: 2}}}\n"
    )
    return read_study(file).settings


def test_weights_beside_the_study_file_are_found_from_any_folder(tmp_path, later, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a.safetensors").write_bytes(b"")
    monkeypatch.chdir(tmp_path / "weights")
    found, nested = described(tmp_path, "weights/a.safetensors")
    assert found.points[0].config.weights == str(tmp_path / "weights" / "a.safetensors")
    assert nested.points[0].config.later.rate == 2
    found, _ = described(tmp_path, "imagenet")  # a name, or a file that lies elsewhere
    assert found.points[0].config.weights == "imagenet"


def test_a_grid_over_weights_finds_each_beside_the_file(tmp_path, later):
    (tmp_path / "a.safetensors").write_bytes(b"")
    file = tmp_path / "study.yaml"
    file.write_text(
        "data: digits\nout: out\nsettings: {a: {method: ce, weights: [imagenet, a.safetensors]}}\n"
    )
    first, second = read_study(file).settings[0].points
    assert first.config.weights == "imagenet"
    assert second.config.weights == str(tmp_path / "a.safetensors")


def test_an_option_that_the_command_lacks_is_named(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("data: digits\nout: out\nsettings: {a: {method: ce, later: {rate: 2}}}\n")
    with pytest.raises(InputError, match=r"settings\.a: later is not an option"):
        read_study(file)
