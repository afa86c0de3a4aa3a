"""Foregrounds from the start network: found, kept, used, measured, refused."""

import json
from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import nn

from helpers.processes import in_two
from helpers.squares import Squares, write_folder
from sib.cli.console import ConsoleReporter
from sib.cli.main import main
from sib.config.train import InputConfig, ScheduleConfig
from sib.models import SmallResNet
from sib.runs import foreground_file
from sib.runs.foreground_file import FoundForegrounds, read_foregrounds, write_foregrounds
from sib.training import TrainConfig, found_foreground, loop, train
from sib.training.foreground_quality import ForegroundQuality
from sib.training.found_foreground import View, find_foregrounds
from sib.utils.errors import InputError

AREA = 64 / 1024
VIEW = View(32, "crop", "half", torch.device("cpu"))


class Colours(nn.Module):
    """Means of 4 × 4 pixels as features (B, 3, 8, 8)."""

    def __init__(self, classes=2):
        super().__init__()
        self.places = nn.Conv2d(3, 3, 4, stride=4, groups=3)
        nn.init.constant_(self.places.weight, 1 / 16)
        self.head = nn.Linear(3, classes)

    def forward(self, images):
        return self.head(self.places(images).mean(dim=(2, 3)))


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
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("squares"), 40)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "start.safetensors"
    torch.manual_seed(0)
    facts = {"arch": "small_resnet", "normalization": "half", "classes": ["a", "b"]}
    save_file(SmallResNet(2).state_dict(), path, {"sib": json.dumps(facts)})
    return str(path)


@pytest.fixture
def options(folder, weights):
    images, masks = map(str, folder)
    settings = InputConfig(masks=masks, cache="off", augment="flip", test_fraction=0.1)
    # a learning rate that does not depend on the number of epochs
    schedule = ScheduleConfig(kind="step")
    return {"data": images, "weights": weights, "input": settings, "schedule": schedule}


def test_a_planted_square_is_found():
    found = find_foregrounds(Colours(), Squares(12), VIEW, AREA, layer="places")
    assert found.maps.shape == (12, 1, 8, 8) and found.names == Squares(12).names
    quality = found.facts["quality"]
    assert quality["found"] > 0.8 > 0.5 > quality["disc"] > quality["even"]
    assert quality["even"] == pytest.approx(AREA) and quality["images"] == 12
    assert found.facts["explained"] > 0.9


def test_the_network_and_the_random_numbers_stay_as_they_are():
    torch.manual_seed(1)
    model = SmallResNet(2).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    found = find_foregrounds(model, Squares(40), VIEW, AREA)
    assert found.facts["layer"] == "stages.2" and found.maps.shape == (40, 1, 4, 4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training and torch.equal(state, torch.random.get_rng_state())


def test_looking_once_or_twice_is_the_same(monkeypatch):
    model = Colours()
    once = find_foregrounds(model, Squares(40), VIEW, AREA, layer="places")
    monkeypatch.setattr(found_foreground, "MOST_KEPT", 0)
    twice = find_foregrounds(model, Squares(40), VIEW, AREA, layer="places")
    assert torch.equal(once.maps, twice.maps) and once.names == twice.names
    monkeypatch.setattr(found_foreground, "MOST_IMAGES", 10)
    part = find_foregrounds(model, Squares(40), VIEW, AREA, layer="places", seed=1)
    assert part.facts["images"] == 10 and len(part.maps) == 40
    assert part.facts["quality"]["found"] == pytest.approx(once.facts["quality"]["found"], abs=0.05)


def test_quality_by_hand():
    quality = ForegroundQuality()
    assert quality.record() is None
    found = torch.zeros(3, 1, 10, 10, dtype=torch.bool)
    found[:2, :, :2] = True
    annotation = torch.zeros(3, 1, 10, 10, dtype=torch.bool)
    annotation[:, :, 0] = True  # half of what was found, a tenth of the image, none of the disc
    quality.add(found, annotation, torch.tensor([True, False, True]))
    assert quality.record() == {
        "images": 1,
        "found": 0.5,
        "disc": 0.0,
        "even": 0.1,
        "area": pytest.approx(0.2),
        "recall": 1.0,
    }


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


def command(rank, folder, arguments):
    """The command as torchrun starts it; what it prints goes to a file."""
    with open(folder / f"screen-{rank}", "w") as screen, redirect_stdout(screen):
        assert main(arguments) == 0


def in_two_processes(folder, arguments):
    """What both print."""
    in_two(command, folder, arguments)
    text = "".join((folder / f"screen-{rank}").read_text() for rank in range(2))
    return " ".join(text.split())


def test_two_processes_use_what_the_first_one_finds(options, tmp_path):
    arguments = ["train", "--data", options["data"], "--weights", options["weights"]]
    arguments += ["--input.masks", options["input"].masks, "--arch", "small_resnet"]
    arguments += ["--image-size", "32", "--device", "cpu", "--workers", "0", "--epochs", "1"]
    arguments += ["--batch-size", "8", "--input.cache", str(tmp_path / "cache")]
    arguments += ["--out", str(tmp_path / "two")]
    text = in_two_processes(tmp_path, arguments)
    assert text.count("of their area lies on the annotated object") == 1
    before = (tmp_path / "two" / foreground_file.NAME).read_bytes()
    in_two_processes(tmp_path, [*arguments, "--resume", "--epochs", "2"])
    assert (tmp_path / "two" / foreground_file.NAME).read_bytes() == before
    run(tmp_path / "one", **(options | {"input": InputConfig(masks=options["input"].masks)}))
    assert read_foregrounds(tmp_path / "one").names == read_foregrounds(tmp_path / "two").names


FACTS = {"format": 1, "area": 0.2, "resize": None, "layer": "x", "image_size": 8, "images": 2}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, "format is 2"),
        ({"area": 1.5}, "area must lie"),
        ({"resize": "cut"}, "resize must be"),
        ({"layer": None, "area": None}, "area must lie"),
    ],
)
def test_a_header_that_is_wrong(tmp_path, change, sentence):
    maps = torch.rand(2, 1, 3, 3)
    write_foregrounds(tmp_path, FoundForegrounds(["a", "b"], maps, FACTS | change))
    with pytest.raises(InputError, match=sentence):
        read_foregrounds(tmp_path)


@pytest.mark.parametrize(
    ("names", "maps", "sentence"),
    [
        (["a", "a"], torch.rand(2, 1, 3, 3), "listed twice"),
        (["a"], torch.rand(2, 1, 3, 3), "2 maps for 1 images"),
        (["a", 3], torch.rand(2, 1, 3, 3), "no names"),
        (["a", "b"], torch.rand(2, 1, 3, 3).double(), "float32"),
        (["a", "b"], torch.rand(2, 3, 3), "float32"),
        (["a", "b"], torch.full((2, 1, 3, 3), torch.nan), "not finite"),
    ],
)
def test_content_that_is_wrong(tmp_path, names, maps, sentence):
    write_foregrounds(tmp_path, FoundForegrounds(names, maps, FACTS))
    with pytest.raises(InputError, match=sentence):
        read_foregrounds(tmp_path)


def test_a_damaged_file_is_refused(tmp_path):
    write_foregrounds(tmp_path, FoundForegrounds(["a"], torch.rand(1, 1, 3, 3), FACTS))
    path = tmp_path / foreground_file.NAME
    whole = path.read_bytes()
    for content in (b"", whole[:20], whole[:-9], b"\xff" * 40, whole.replace(b"names", b"nomes")):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is damaged"):
            read_foregrounds(tmp_path)
    found = FoundForegrounds(["a\udcff.png"], torch.rand(1, 1, 3, 3), FACTS)
    write_foregrounds(tmp_path, found)
    assert read_foregrounds(tmp_path).names == found.names


class Constant(Colours):
    def __init__(self):
        super().__init__()
        nn.init.zeros_(self.places.weight)


@pytest.mark.parametrize(
    ("model", "source", "layer", "sentence"),
    [
        (Colours(), Squares(1), "places", "at least 2 training images; got 1"),
        (Constant(), Squares(4), "places", "layer places: the features are the same"),
        (Colours(), Squares(4), "head", "layer head must give a feature map"),
        (Colours(), Squares(4), "nowhere", "layer must be a module of the model"),
        (Colours(), Squares(4), None, "layer must be given for a Colours"),
    ],
)
def test_networks_that_find_nothing(model, source, layer, sentence):
    with pytest.raises(InputError, match=f"--foreground pretrained: .*{sentence}"):
        find_foregrounds(model, source, VIEW, AREA, layer)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--foreground", "pretrained"], "needs a network to start from: give --weights"),
        (["--foreground", "pretrained", "--method", "ce"], "is for --method sib"),
        (["--foreground", "colours", "--objective", "published"], "got published"),
        (["--objective.foreground-layer", "stages"], "give --weights, too"),
    ],
)
def test_options_without_use_are_refused(arguments, sentence, capsys):
    assert main(["train", "--data", "digits", *arguments]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_a_layer_without_places_ends_with_code_2(options, tmp_path, capsys):
    images, masks = options["data"], options["input"].masks
    common = ["train", "--data", images, "--input.masks", masks, "--weights", options["weights"]]
    common += ["--arch", "small_resnet", "--device", "cpu", "--workers", "0", "--image-size", "32"]
    wrong = [*common, "--out", str(tmp_path / "x"), "--objective.foreground-layer", "head"]
    assert main(wrong) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "--objective.foreground-layer: layer head must give a feature map" in said
    assert "or give --foreground colours" in said


def shown(capsys, *arguments):
    code = main(["data", "show", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, " ".join((captured.out + captured.err).split())


def test_data_show_draws_what_is_found(weights, tmp_path, capsys):
    images, _ = write_folder(tmp_path / "set", 30)
    sheets = [tmp_path / "annotated.png", tmp_path / "found.png"]
    network = ["--foreground", "pretrained", "--arch", "small_resnet", "--weights", weights]
    network += ["--image-size", "32", "--device", "cpu"]
    code, text = shown(capsys, images, "--out", sheets[0], "--count", 6)
    assert code == 0, text
    code, text = shown(capsys, images, "--out", sheets[1], "--count", 6, *network)
    assert code == 0 and "the start network's features" in text, text
    assert "not measured, since no training image is annotated" in text
    assert sheets[0].read_bytes() != sheets[1].read_bytes()
    images, _ = write_folder(tmp_path / "annotated", 30, beside=True)
    code, text = shown(capsys, images, "--out", sheets[1], "--count", 6, *network)
    assert code == 0 and "of their area lies on the annotated object" in text, text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--foreground", "pretrained"], "needs a network: give --weights and --arch"),
        (["--layer", "stages"], "--layer is for --foreground pretrained; got annotation"),
        (["--foreground", "pretrained", "--split", "test", "--weights", "x"], "--split must be"),
        (["--foreground", "pretrained", "--weights", "x.pt"], "x.pt"),
    ],
)
def test_data_show_refuses_in_a_sentence(arguments, sentence, tmp_path, capsys):
    code, text = shown(capsys, "digits", "--out", tmp_path / "a.png", *arguments)
    assert code == 2 and sentence in text, text


def test_data_show_names_its_own_options(weights, tmp_path, capsys):
    network = ["--foreground", "pretrained", "--arch", "small_resnet", "--weights", weights]
    code, text = shown(capsys, "digits", "--out", tmp_path / "a.png", *network, "--layer", "head")
    assert code == 2 and "--layer: layer head must give" in text and "colours" not in text
