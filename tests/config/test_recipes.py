"""The twenty recipes, against a table typed from the publication and not from the module."""

import io
from itertools import islice

import pytest
import torch
import yaml
from rich.console import Console

from helpers import official
from helpers.pictures import save_classes
from sib.cli.console import ConsoleReporter
from sib.cli.main import main, parse
from sib.config.recipes import RECIPES, RecipesConfig, show_recipes
from sib.models import build
from sib.runs.folder import RunFolder
from sib.tracking.group import Trackers
from sib.training.freezing import Freezing
from sib.training.loop import Training
from sib.training.prepare import Prepared
from sib.training.setup import make_task
from sib.training.splits import make_split_loader, open_splits
from sib.training.start import resolve

PUBLISHED = """
cifar100/resnet18          100  256  0.0001   0.01
cifar100/resnet50          100   64  0.0001   0.01
cifar100/densenet121       100   64  0.0001   0.01
cifar100/vit_b_32          100   64  0.0001   0.01
cub200/resnet18            200   64  0.0001   0.01
cub200/resnet50            200   64  0.0001   0.01
cub200/densenet121         200   64  0.0001   0.01
cub200/vit_b_32            200  128  0.0001   0.01
stanford_dogs/resnet18     120  128  0.0001   0.01
stanford_dogs/resnet50     120   97  0.0001   0.01
stanford_dogs/densenet121  120   64  0.0001   0.01
stanford_dogs/vit_b_32     120  256  0.0001   0.00001
imagenet/resnet18         1000  256  0.00001  0.01
imagenet/resnet50         1000   64  0.00001  0.01
imagenet/densenet121      1000   64  0.0001   0.01
imagenet/vit_b_32         1000  256  0.000001 0.00001
oxford_pet/resnet18         37   32  0.0001   0.01
oxford_pet/resnet50         37   64  0.0001   0.01
oxford_pet/densenet121      37   64  0.0001   0.01
oxford_pet/vit_b_32         37  128  0.0001   0.00001
"""
ROWS = [line.split() for line in PUBLISHED.strip().splitlines()]


def test_there_are_twenty():
    assert list(RECIPES) == [row[0] for row in ROWS] and len(ROWS) == 20


@pytest.mark.parametrize(("name", "classes", "batch", "rate", "foreground"), ROWS)
def test_a_recipe_is_the_published_one(name, classes, batch, rate, foreground):
    config = parse(["train", name])
    assert config.recipe == name and f"{config.data}/{config.arch}" == name
    assert RECIPES[name].classes == int(classes)
    assert config.batch_size == int(batch)
    assert config.optimizer.learning_rate == float(rate)
    assert config.optimizer.weight_decay == 0.0001
    assert config.objective.foreground_weight == float(foreground)
    assert config.objective.background_weight == 1000
    assert config.objective.form == "linear" and config.method == "sib"
    assert (config.epochs, config.seed, config.side) == (90, 43, 224)
    assert (config.precision, config.deterministic) == ("float32", True)
    schedule = config.schedule
    assert (schedule.kind, schedule.step_epochs, schedule.gamma) == ("step", 30, 0.1)
    assert schedule.warmup_epochs == 0
    chosen = (config.input.augment, config.input.normalization, config.input.drop_last)
    if name.startswith("imagenet"):
        assert chosen == ("crop", "imagenet", True) and config.input.crop_area == 0.08
    else:
        assert chosen == ("none", "half", False)


def test_what_a_recipe_does_not_say_is_the_objectives_published_default():
    objective = parse(["train", "cub200/resnet50"]).objective
    assert (objective.window_size, objective.temperature, objective.slope) == (31, 0.1, 10)
    assert (objective.mask, objective.estimator, objective.projection_dim) == (
        "density",
        "biased",
        None,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["oxford_pet/resnet18", "--epochs", "3", "--resume", "--input.drop-last"],
        ["--resume", "--input.drop-last", "oxford_pet/resnet18", "--epochs", "3"],
        ["--epochs", "3", "--resume", "--input.drop-last", "oxford_pet/resnet18"],
        ["--epochs=3", "--resume", "--input.drop_last", "oxford_pet/resnet18"],
    ],
)
def test_the_recipe_may_stand_anywhere(arguments):
    config = parse(["train", *arguments])
    assert (config.recipe, config.batch_size, config.epochs) == ("oxford_pet/resnet18", 32, 3)
    assert config.resume and config.input.drop_last


def test_the_command_line_goes_before_the_file_and_the_file_before_the_recipe(tmp_path):
    file = tmp_path / "options.yaml"
    file.write_text("seed: 5\nepochs: 7\nobjective.form: exp\n")
    config = parse(
        ["train", "cub200/vit_b_32", "--config", str(file), "--epochs", "9", "--arch", "resnet18"]
    )
    assert (config.seed, config.epochs, config.batch_size) == (5, 9, 128)
    assert (config.objective.form, config.arch) == ("exp", "resnet18")


def test_a_file_can_name_the_recipe_and_the_command_line_another(tmp_path):
    file = tmp_path / "options.yaml"
    file.write_text("recipe: stanford_dogs/resnet50\nepochs: 7\n")
    config = parse(["train", "--config", str(file)])
    assert (config.recipe, config.batch_size, config.epochs) == ("stanford_dogs/resnet50", 97, 7)
    config = parse(["train", "--config", str(file), "imagenet/resnet18"])
    assert (config.recipe, config.batch_size, config.epochs) == ("imagenet/resnet18", 256, 7)


def test_a_run_records_its_recipe_and_its_file_starts_the_same_run(tmp_path, capsys):
    out = tmp_path / "run"
    options = ["--data", str(save_classes(tmp_path / "set")), "--arch", "small_resnet"]
    options += ["--image-size", "32", "--epochs", "1", "--workers", "0", "--device", "cpu"]
    assert main(["train", "oxford_pet/resnet18", *options, "--out", str(out)]) == 0
    stored = yaml.safe_load((out / "config.yaml").read_text())
    assert stored["recipe"] == "oxford_pet/resnet18" and stored["arch"] == "small_resnet"
    assert (stored["seed"], stored["epochs"]) == (43, 1)
    again = parse(["train", "--config", str(out / "config.yaml"), "--out", "b"])
    assert (again.recipe, again.arch, again.epochs) == ("oxford_pet/resnet18", "small_resnet", 1)
    assert again.deterministic and not again.input.drop_last


@pytest.mark.parametrize("width", [80, 140])
def test_the_list_is_whole_at_any_width(width):
    screen = io.StringIO()
    show_recipes(RecipesConfig(), Console(file=screen, width=width))
    text = screen.getvalue()
    assert "…" not in text and max(map(len, text.splitlines())) <= width
    rows = {line.split()[0].rstrip("*"): line.split() for line in text.splitlines() if "/" in line}
    for name, classes, batch, rate, foreground in ROWS:
        cells = rows[name]
        assert (cells[1], cells[2], cells[5], cells[6]) == (classes, batch, "1000", "90")
        assert (float(cells[3]), float(cells[4])) == (float(rate), float(foreground))
        assert cells[7] == "inferred"
        assert cells[8] == ("crop" if name.startswith("imagenet") else "centre")
    words = " ".join(text.split())
    for part in ("--objective.form exp", "--selection test", "starts this head at zero"):
        assert part in words


def test_sib_recipes_ends_with_0(capsys):
    assert main(["recipes"]) == 0
    assert "stanford_dogs/densenet121" in capsys.readouterr().out


@pytest.fixture(scope="module")
def open_once():
    """Opens the splits of a data set for the first of its four recipes."""
    opened = {}

    def look_up(config):
        if config.data not in opened:
            opened[config.data] = open_splits(config)
        return opened[config.data]

    return look_up


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_two_small_steps(tmp_path, monkeypatch, published_root, open_once, name):
    """The official layout, the real classes and options; eight images, a small network."""
    root = published_root(RECIPES[name].data)
    smaller = ["--arch", "small_resnet", "--objective.window-size", "5", "--batch-size", "8"]
    options = ("--image-size", "16", *smaller)
    take_two_steps(name, root, tmp_path, monkeypatch, *options, opening=open_once)


@pytest.mark.torture
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_two_steps(tmp_path, monkeypatch, name):
    """The official layout and the real architecture, classes, batch and options, on 32 pixels."""
    recipe = RECIPES[name]
    per_class = -(-2 * recipe.batch_size // recipe.classes)
    root = official.MAKERS[recipe.data](tmp_path, train_per_class=per_class, test_per_class=1)
    config = take_two_steps(name, root, tmp_path, monkeypatch, "--image-size", "32")
    assert config.batch_size == recipe.batch_size and config.arch == recipe.arch


def take_two_steps(name, root, tmp_path, monkeypatch, *options, opening=open_splits):
    recipe = RECIPES[name]
    arguments = ["--root", str(root), "--selection", "test", *options]
    given = parse(["train", name, *arguments, "--device", "cpu", "--workers", "0"])
    config = resolve(given, None)
    splits = opening(config)
    assert len(splits.classes) == recipe.classes
    device = torch.device("cpu")
    torch.manual_seed(config.seed)
    task = make_task(config, build(config.arch, len(splits.classes), config.side), device)
    loader = make_split_loader(config, splits, "train")
    before = [parameter.detach().clone() for parameter in task.model.parameters()]
    reporter = ConsoleReporter(Console(file=io.StringIO()))
    run = RunFolder(tmp_path / "run")
    freezing = Freezing(task.model, config)
    none = Trackers({}, run.path, reporter.info)
    prepared = Prepared(config, task, task, splits, loader, device, run, None, freezing, none)
    training = Training(prepared, reporter)
    # the ratio is a report, as dear as the step
    monkeypatch.setattr(training.train_step, "_gradient_ratios", lambda *_: None)
    for step, batch in enumerate(islice(loader, 2)):
        assert batch.images.shape == (config.batch_size, 3, config.side, config.side)
        training.train_step.run(batch, 0, step, training.progress)
    assert training.progress.batches == 2
    assert training.learner.update.learning_rate == recipe.learning_rate
    sums = training.progress.sums
    assert all(value.isfinite() for value in sums.values())
    assert sums["reconstruction_scale"] > 0 and sums["terms.background"] > 0
    changed = [
        not torch.equal(old, new) for old, new in zip(before, task.model.parameters(), strict=True)
    ]
    assert all(changed)
    return config
