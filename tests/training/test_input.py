"""How images reach a run: normalisation, the cache, the split that chooses, determinism."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file

from helpers.pictures import save, save_classes, save_splits, square_mask
from sib.cli.console import ConsoleReporter
from sib.cli.main import main
from sib.config.train import InputConfig
from sib.data import open_data
from sib.training import TrainConfig, prepare, train
from sib.utils.device import set_determinism
from sib.utils.errors import InputError


def tiny(out, data, **options):
    defaults = {
        "arch": "small_resnet",
        "method": "ce",
        "epochs": 1,
        "batch_size": 4,
        "image_size": 16,
        "workers": 0,
        "device": "cpu",
    }
    return TrainConfig(data=str(data), out=out, **(defaults | options))


def run(config):
    """The result and the screen."""
    screen = io.StringIO()
    result = train(config, ConsoleReporter(Console(file=screen, width=300)))
    return result, screen.getvalue()


@pytest.mark.parametrize("augment", ["none", "flip", "crop"])
def test_a_run_with_a_cache_ends_with_the_same_bits(tmp_path, augment):
    data = save_classes(tmp_path / "set")
    options = {"auto": "resizing once", "off": "", str(tmp_path / "own"): "resizing once"}
    for number, (cache, words) in enumerate(options.items()):
        config = tiny(tmp_path / f"{number}", data, input=InputConfig(cache=cache, augment=augment))
        screen = run(config)[1]
        # a random crop leaves only validation and test to be kept
        kept = 4 if augment == "crop" else 10
        assert (f"cache: {words} {kept} images at 16 × 16" in screen) == bool(words)
    runs = [load_file(tmp_path / f"{number}" / "last.safetensors") for number in range(3)]
    for key, value in runs[0].items():
        assert torch.equal(value, runs[1][key]) and torch.equal(value, runs[2][key])


def test_the_cache_may_change_when_a_run_goes_on(tmp_path):
    data = save_classes(tmp_path / "set")
    run(tiny(tmp_path / "run", data))
    more = tiny(tmp_path / "run", data, epochs=2, resume=True, input=InputConfig(cache="off"))
    assert run(more)[0] is not None


def test_a_default_folder_that_cannot_be_written_is_told_and_the_run_goes_on(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    result, screen = run(tiny(tmp_path / "run", save_classes(tmp_path / "set")))
    assert result is not None
    assert "no cache, so every epoch decodes the images again: " in screen
    assert f"{tmp_path}/file/sib cannot be written: Not a directory" in screen


def test_a_given_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    config = tiny(
        tmp_path / "run",
        save_classes(tmp_path / "set"),
        input=InputConfig(cache=str(tmp_path / "file")),
    )
    with pytest.raises(InputError, match=r"^--input\.cache: .*file cannot be written: File exists"):
        run(config)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_keeps_nothing(tmp_path):
    config = tiny(
        tmp_path / "run",
        save_classes(tmp_path / "set"),
        dry_run=True,
        input=InputConfig(cache=str(tmp_path / "cache")),
    )
    run(config)
    assert not (tmp_path / "cache").exists()


def test_the_weights_say_how_the_network_is_fed_and_it_is_fed_so(tmp_path, monkeypatch):
    seen = []
    original = torch.nn.Module.__call__

    def watch(self, *args, **options):
        if type(self).__name__ == "SmallResNet":
            seen.append((args[0].amin().item(), args[0].amax().item()))
        return original(self, *args, **options)

    monkeypatch.setattr(torch.nn.Module, "__call__", watch)
    config = tiny(
        tmp_path / "run",
        save_classes(tmp_path / "set"),
        input=InputConfig(normalization="imagenet", cache="off"),
    )
    run(config)
    with safe_open(tmp_path / "run" / "best.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["sib"])["normalization"] == "imagenet"
    trials = ((0, 0), (-1, 1))  # before any data
    fed = [each for each in seen if each not in trials]
    # green and blue of the square are 0 and red is 255: −0.456 / 0.224 and (1 − 0.485) / 0.229,
    # in the cost's, the training's, the validation's and the test's batches alike
    assert len(fed) >= 4
    for lowest, highest in fed:
        assert lowest == pytest.approx(-2.035714, abs=1e-5)
        assert highest == pytest.approx(2.248908, abs=1e-5)


def test_a_last_batch_that_is_not_full_can_be_dropped(tmp_path):
    data = save_splits(tmp_path / "set")  # 6 to train once validation is held out
    for drop, steps in ((False, 2), (True, 1)):
        run(tiny(tmp_path / f"{drop}", data, input=InputConfig(drop_last=drop)))
        line = json.loads((tmp_path / f"{drop}" / "metrics.jsonl").read_text())
        assert line["step"] == steps
    config = tiny(tmp_path / "none", data, batch_size=8, input=InputConfig(drop_last=True))
    with pytest.raises(InputError, match=r"--batch-size 8: the 6 training .* give no full batch$"):
        run(config)


class TestSelectionOnTheTest:
    def test_trains_on_everything_and_says_that_the_figure_is_optimistic(self, tmp_path):
        data = save_splits(tmp_path / "set")
        result, screen = run(tiny(tmp_path / "run", data, selection="test", epochs=3))
        assert "8 images to train, 8 to test" in screen
        assert "as published, so its figure will be optimistic" in screen
        assert "best on test" in screen and "so the test figure is optimistic" in screen
        stored = json.loads((tmp_path / "run" / "result.json").read_text())
        assert stored["selection"] == "test"
        assert stored["note"].endswith("so the test figure is optimistic")
        assert "validation_accuracy" not in stored
        lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
        scores = [json.loads(line)["test"] for line in lines]
        best = max(scores, key=lambda score: (score["accuracy"], -score["cross_entropy"]))
        assert stored["test"] == best and stored["test_accuracy"] == best["accuracy"]
        assert result["test"]["accuracy"] == best["accuracy"]

    def test_the_folders_own_validation_is_not_trained_on(self, tmp_path):
        root = save_splits(tmp_path / "set", ("train", "test", "val"))
        splits = open_data(str(root), hold_out_validation=False)
        assert (len(splits.train), len(splits.validation), len(splits.test)) == (8, 0, 8)
        assert splits.description["split_rule"] == (
            "test: the folder's own, test; validation: none, val is left out"
        )
        assert all(name.startswith("train/") for name in splits.train.names)

    def test_built_in_images_are_all_trained_on(self):
        splits = open_data("digits", train_size=40, test_size=10, hold_out_validation=False)
        assert (len(splits.train), len(splits.validation), len(splits.test)) == (40, 0, 10)

    def test_is_no_longer_the_same_run(self, tmp_path):
        data = save_splits(tmp_path / "set")
        run(tiny(tmp_path / "run", data))
        config = tiny(tmp_path / "run", data, selection="test", epochs=2, resume=True)
        with pytest.raises(InputError, match="selection was 'validation' and is 'test'"):
            run(config)


def test_selection_on_validation_says_so(tmp_path):
    result, screen = run(tiny(tmp_path / "run", save_splits(tmp_path / "set")))
    assert result["selection"] == "validation" and "note" not in result
    assert "best on validation" in screen and "optimistic" not in screen


@pytest.fixture
def _cudnn_flags():
    flags = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    yield
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = flags


@pytest.mark.usefixtures("_cudnn_flags")
def test_determinism_is_told_to_cudnn_and_only_for_cuda():
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True
    set_determinism(torch.device("cpu"), True)
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (False, True)
    set_determinism(torch.device("cuda"), True)
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
    set_determinism(torch.device("cuda"), False)
    assert not torch.backends.cudnn.deterministic


def test_a_run_sets_determinism_before_its_first_step(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(prepare, "set_determinism", lambda device, value: told.append(value))
    run(tiny(tmp_path / "run", save_classes(tmp_path / "set"), deterministic=True, dry_run=True))
    assert told == [True]


def test_bad_files_are_skipped_from_the_start_and_counted(tmp_path):
    data = save_classes(tmp_path / "set", count=10)
    (data / "cat" / "3.png").write_bytes(b"")
    (data / "dog" / "3.png").write_text("<html>not found</html>")
    (data / "dog" / "4_mask.png").write_text("?")
    with pytest.raises(InputError, match="and 2 more images with a problem"):
        run(tiny(tmp_path / "run", data))
    screen = run(tiny(tmp_path / "run", data, on_bad_image="skip"))[1]
    assert "left out: 3 images that cannot be read, the first: " in screen
    facts = json.loads((tmp_path / "run" / "environment.json").read_text())["data"]
    assert facts["unreadable"] == 3 and sum(facts["images"].values()) == 17


def test_names_that_are_not_unicode_are_trained_on(tmp_path):
    data = Path(os.fsdecode(os.fsencode(tmp_path) + b"/s\xe9t"))
    save_classes(data, ("cat", "dog"))
    os.rename(data / "cat", os.fsencode(data) + b"/caf\xe9")
    os.rename(data / "dog" / "1.png", os.fsencode(data / "dog") + b"/\xe9.png")
    run(tiny(tmp_path / "run", data))
    table = (tmp_path / "run" / "images.csv").read_text()
    assert r"caf\xe9/0.png" in table and r"dog/\xe9.png" in table
    with safe_open(tmp_path / "run" / "last.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["sib"])["classes"] == [r"caf\xe9", "dog"]
    command = ["evaluate", str(tmp_path / "run"), "--methods", "vjp", "--device", "cpu"]
    assert main(command) == 0


def test_a_value_range_is_recorded_and_kept_by_a_resume(tmp_path):
    for name in ("cat", "dog"):
        for number in range(5):
            values = np.full((16, 16), 4095 - number, np.uint16)
            save(tmp_path / "set" / name / f"{number}.png", values)
    options = InputConfig(value_range="0-4095")
    screen = run(tiny(tmp_path / "dark", tmp_path / "set"))[1]
    assert "16-bit images use the values 4091 to 4095 of 0 to 65535" in screen
    screen = run(tiny(tmp_path / "run", tmp_path / "set", input=options))[1]
    assert "16-bit" not in screen
    command = ["train", "--config", str(tmp_path / "run" / "config.yaml"), "--epochs", "2"]
    assert main([*command, "--resume"]) == 0
    other = tiny(tmp_path / "run", tmp_path / "set", epochs=3, resume=True)
    with pytest.raises(InputError, match=r"input.value_range was '0-4095' and is None"):
        run(other)


def test_one_line_says_what_was_understood(tmp_path):
    data = save_splits(tmp_path / "mine", ("Training", "valid", "TEST"))
    save(data / "masks" / "TEST" / "cat" / "1.png", square_mask(255))
    screen = run(tiny(tmp_path / "run", data))[1]
    assert screen.splitlines()[0] == (
        "mine: 8 images to train, 8 to validate, 8 to test, 2 classes, 1 of 24 with a foreground; "
        "test: the folder's own, TEST; validation: the folder's own, valid"
    )
    assert screen.splitlines()[1].startswith("without a foreground: TEST/cat/0.png, ")
    assert "8 test images have the content of a training image, the first: TEST/" in screen
