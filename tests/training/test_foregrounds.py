"""Runs whose foregrounds come from the start network: found once, kept, used, resumed."""

import json
from io import StringIO

import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file, save_file

from helpers.processes import command_in_two
from helpers.squares import AREA, start_weights, write_folder
from sib.cli.console import ConsoleReporter
from sib.config.train import InputConfig, ScheduleConfig
from sib.models import SmallResNet
from sib.runs import foreground_file
from sib.runs.foreground_file import read_foregrounds, write_foregrounds
from sib.training import TrainConfig, loop, train
from sib.utils.errors import InputError


def run(out, **options):
    """Train on the squares, and give the text on the screen."""
    defaults = {
        "arch": "small_resnet",
        "epochs": 1,
        "batch_size": 8,
        "image_size": 32,
        "workers": 0,
        "device": "cpu",
    }
    console = Console(file=StringIO(), width=300)
    train(TrainConfig(out=out, **(defaults | options)), ConsoleReporter(console))
    return console.file.getvalue()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return start_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("squares"), 24)


@pytest.fixture
def options(folder, weights):
    images, masks = map(str, folder)
    settings = InputConfig(masks=masks, cache="off", augment="flip", test_fraction=0.1)
    # a learning rate that does not depend on the number of epochs
    schedule = ScheduleConfig(kind="step")
    return {"data": images, "weights": weights, "input": settings, "schedule": schedule}


def test_a_run_finds_keeps_and_records_them(options, tmp_path):
    text = run(tmp_path, **options)
    assert "foreground: pretrained, the 0.2 of each image" in text
    assert "of their area lies on the annotated object" in text
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["foreground"] == "pretrained"
    record = json.loads((tmp_path / "environment.json").read_text())["foreground"]
    assert record["layer"] == "stages.2" and record["area"] == 0.2
    found = read_foregrounds(tmp_path)
    assert len(found.names) == record["images"] == record["quality"]["images"]
    assert found.facts == record


def test_from_random_weights_colours_are_taken(options, tmp_path):
    text = run(tmp_path, **(options | {"weights": None}))
    assert "foreground: colours" in text and not (tmp_path / foreground_file.NAME).exists()
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["foreground"] == "colours"


def test_what_the_objective_gets(options, tmp_path, monkeypatch):
    """The found foreground, but the annotation of the chosen images; validation keeps its own."""
    seen = []
    original = loop.Training._read

    def look(training, batches):
        for batch in original(training, batches):
            if training.task.model.training:
                seen.append((training, batch))
            yield batch

    monkeypatch.setattr(loop.Training, "_read", look)
    run(tmp_path / "found", **options)
    run(tmp_path / "half", **options, guided_share=0.5)
    run(tmp_path / "colours", **options, foreground="colours")
    areas = {}
    for training, batch in seen:
        for name, mask in zip(batch.names, batch.foreground, strict=True):
            areas.setdefault(training.run.path.name, {})[name] = mask.float().mean().item()
        assert training.splits.validation[0].foreground.float().mean() == pytest.approx(AREA)
    assert all(area == pytest.approx(0.2, abs=0.01) for area in areas["found"].values())
    small = [area < 0.1 for area in areas["half"].values()]
    assert 0 < sum(small) < len(small)
    assert all(area < 0.1 for area in areas["colours"].values())


def test_resume_reads_the_file_bit_for_bit(options, tmp_path, monkeypatch):
    run(tmp_path / "whole", **options, epochs=2)
    run(tmp_path / "part", **options)
    before = (tmp_path / "part" / foreground_file.NAME).read_bytes()
    assert before == (tmp_path / "whole" / foreground_file.NAME).read_bytes()

    def refuse(*args):
        raise AssertionError("computed again")

    monkeypatch.setattr("sib.training.foregrounds.find_foregrounds", refuse)
    text = run(tmp_path / "part", **options, epochs=2, resume=True)
    assert "foreground: pretrained, read from" in text
    assert (tmp_path / "part" / foreground_file.NAME).read_bytes() == before
    one, other = (load_file(tmp_path / name / "last.safetensors") for name in ("part", "whole"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_run_that_was_stopped_before_its_first_state(options, tmp_path):
    run(tmp_path, **options)
    before = (tmp_path / foreground_file.NAME).read_bytes()
    for name in ("state.pt", "state-before.pt", "result.json", foreground_file.NAME):
        (tmp_path / name).unlink(missing_ok=True)
    assert "passing" in run(tmp_path, **options, resume=True)
    assert (tmp_path / foreground_file.NAME).read_bytes() == before


def test_foregrounds_of_other_images_are_refused(options, tmp_path):
    run(tmp_path, **options)
    found = read_foregrounds(tmp_path)
    write_foregrounds(tmp_path, found._replace(names=["elsewhere.png", *found.names[1:]]))
    with pytest.raises(InputError, match="belongs to other images: 1 of its"):
        run(tmp_path, **options, epochs=2, resume=True)
    (tmp_path / foreground_file.NAME).unlink()
    with pytest.raises(InputError, match=r"foregrounds\.safetensors is missing"):
        run(tmp_path, **options, epochs=2, resume=True)


def test_with_a_cache_and_at_the_size_of_the_weights(options, tmp_path, weights):
    facts = {"arch": "small_resnet", "normalization": "half", "image_size": 48}
    larger = tmp_path / "larger.safetensors"
    save_file(load_file(weights), larger, {"sib": json.dumps(facts)})
    settings = InputConfig(
        masks=options["input"].masks, cache=str(tmp_path / "cache"), augment="none"
    )
    run(tmp_path / "a", **(options | {"weights": str(larger), "input": settings}))
    found = read_foregrounds(tmp_path / "a")
    assert found.facts["image_size"] == 48 and found.maps.shape[-2:] == (6, 6)


def test_a_network_of_one_size_keeps_it(options, tmp_path, weights, monkeypatch):
    facts = {"arch": "small_resnet", "normalization": "half", "image_size": 48}
    larger = tmp_path / "larger.safetensors"
    save_file(load_file(weights), larger, {"sib": json.dumps(facts)})
    original = SmallResNet.forward

    def picky(model, images):
        assert images.shape[-1] == 32
        return original(model, images)

    monkeypatch.setattr(SmallResNet, "forward", picky)
    run(tmp_path / "a", **(options | {"weights": str(larger)}))
    assert read_foregrounds(tmp_path / "a").facts["image_size"] == 32


def test_a_dry_run_only_looks_at_the_layer(options, tmp_path):
    text = run(tmp_path / "dry", **options, dry_run=True)
    assert "to be found before the first step" in text and not (tmp_path / "dry").exists()


def test_two_processes_use_what_the_first_one_finds(options, tmp_path):
    arguments = ["train", "--data", options["data"], "--weights", options["weights"]]
    arguments += ["--input.masks", options["input"].masks, "--arch", "small_resnet"]
    arguments += ["--image-size", "32", "--device", "cpu", "--workers", "0", "--epochs", "1"]
    arguments += ["--batch-size", "8", "--input.cache", str(tmp_path / "cache")]
    arguments += ["--out", str(tmp_path / "two")]
    text = command_in_two(arguments, tmp_path)
    assert text.count("of their area lies on the annotated object") == 1
    before = (tmp_path / "two" / foreground_file.NAME).read_bytes()
    command_in_two([*arguments, "--resume", "--epochs", "2"], tmp_path)
    assert (tmp_path / "two" / foreground_file.NAME).read_bytes() == before
    run(tmp_path / "one", **(options | {"input": InputConfig(masks=options["input"].masks)}))
    assert read_foregrounds(tmp_path / "one").names == read_foregrounds(tmp_path / "two").names
