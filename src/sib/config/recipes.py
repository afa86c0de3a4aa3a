"""The twenty published recipes as one table of data."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sib.config.choices import CROP_AREA
from sib.utils.errors import InputError
from sib.utils.nearest import perhaps
from sib.utils.terminal import show_tables


class Transform(NamedTuple):
    """How training images reach the network."""

    words: str
    augment: Literal["none", "crop"]
    normalization: Literal["half", "imagenet"]
    crop_area: float
    """Smallest share of the area that a random crop keeps; torchvision's default is 0.08."""
    drop_last: bool


TRANSFORMS = {
    "centre": Transform(
        "resize the short side to 256, centre crop 224, normalise 0.5/0.5",
        "none",
        "half",
        CROP_AREA,
        False,
    ),
    "crop": Transform(
        "random resized crop 224, flip, ImageNet statistics, last batch dropped; "
        "evaluation as centre, with ImageNet statistics",
        "crop",
        "imagenet",
        0.08,
        True,
    ),
}

ZERO_HEAD = (
    "torchvision starts this head at zero, where R = 0 so that S-IB cannot start; here its weights "
    "start as nn.Linear's usual random ones"
)


@dataclass(frozen=True)
class Recipe:
    """One published training script.

    Source: arXiv 2511.09239 and its scripts; the schedule is inferred from their skeleton.
    """

    data: str
    arch: str
    classes: int
    batch_size: int
    learning_rate: float
    foreground_weight: float
    transform: str = "centre"
    note: str = ""
    background_weight: float = 1000.0
    epochs: int = 90
    weight_decay: float = 1e-4
    seed: int = 43
    image_size: int = 224
    step_epochs: int = 30
    gamma: float = 0.1

    @property
    def name(self) -> str:
        """The name on the command line."""
        return f"{self.data}/{self.arch}"

    def options(self) -> dict[str, Any]:
        """The options of ``sib train`` that the recipe sets, by full name."""
        transform = TRANSFORMS[self.transform]
        return {
            "data": self.data,
            "arch": self.arch,
            "image-size": self.image_size,
            "epochs": self.epochs,
            "batch-size": self.batch_size,
            "seed": self.seed,
            "precision": "float32",
            "deterministic": True,
            "optimizer.learning-rate": self.learning_rate,
            "optimizer.weight-decay": self.weight_decay,
            "schedule.kind": "step",
            "schedule.step-epochs": self.step_epochs,
            "schedule.gamma": self.gamma,
            "schedule.warmup-epochs": 0,
            "objective.kind": "published",
            "objective.form": "linear",
            "objective.foreground-weight": self.foreground_weight,
            "objective.background-weight": self.background_weight,
            "input.augment": transform.augment,
            "input.normalization": transform.normalization,
            "input.crop-area": transform.crop_area,
            "input.drop-last": transform.drop_last,
        }


RECIPES = {
    recipe.name: recipe
    for recipe in (
        #      data set         architecture   classes batch rate  λ_fg
        Recipe("cifar100", "resnet18", 100, 256, 1e-4, 0.01),
        Recipe("cifar100", "resnet50", 100, 64, 1e-4, 0.01),
        Recipe("cifar100", "densenet121", 100, 64, 1e-4, 0.01),
        Recipe("cifar100", "vit_b_32", 100, 64, 1e-4, 0.01),
        Recipe("cub200", "resnet18", 200, 64, 1e-4, 0.01),
        Recipe("cub200", "resnet50", 200, 64, 1e-4, 0.01),
        Recipe("cub200", "densenet121", 200, 64, 1e-4, 0.01),
        Recipe("cub200", "vit_b_32", 200, 128, 1e-4, 0.01),
        Recipe("stanford_dogs", "resnet18", 120, 128, 1e-4, 0.01),
        Recipe("stanford_dogs", "resnet50", 120, 97, 1e-4, 0.01),
        Recipe("stanford_dogs", "densenet121", 120, 64, 1e-4, 0.01),
        Recipe("stanford_dogs", "vit_b_32", 120, 256, 1e-4, 1e-5),
        Recipe("imagenet", "resnet18", 1000, 256, 1e-5, 0.01, "crop"),
        Recipe("imagenet", "resnet50", 1000, 64, 1e-5, 0.01, "crop"),
        Recipe("imagenet", "densenet121", 1000, 64, 1e-4, 0.01, "crop"),
        Recipe("imagenet", "vit_b_32", 1000, 256, 1e-6, 1e-5, "crop", ZERO_HEAD),
        Recipe("oxford_pet", "resnet18", 37, 32, 1e-4, 0.01),
        Recipe("oxford_pet", "resnet50", 37, 64, 1e-4, 0.01),
        Recipe("oxford_pet", "densenet121", 37, 64, 1e-4, 0.01),
        Recipe("oxford_pet", "vit_b_32", 37, 128, 1e-4, 1e-5),
    )
}


def find_recipe(name: str) -> Recipe:
    """The recipe with a name.

    Raises:
        InputError: there is no such recipe; the nearest names are listed.
    """
    if name not in RECIPES:
        meant = perhaps(name, RECIPES, count=3)
        raise InputError(
            f"recipe {name!r} is unknown{meant}; sib recipes lists all "
            f"{len(RECIPES)}, and a folder of images is given by --data"
        )
    return RECIPES[name]


@dataclass(frozen=True)
class RecipesConfig:
    """List the published recipes, which sib train takes by name."""


def show_recipes(config: RecipesConfig, console: Console) -> None:
    """Print every recipe, and the notes that do not fit the table."""
    show_tables(console, [_table(padding=1 if console.width >= 100 else 0)])
    console.print()
    legend = Table.grid(padding=(0, 2))
    for title, words in _legend():
        legend.add_row(title, escape(words))
    console.print(legend, highlight=False)


def _table(padding: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, padding))
    table.add_column("data set/architecture", no_wrap=True)
    for title in ("classes", "batch", "rate", "λ_fg", "λ_bg", "epochs"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("schedule", no_wrap=True)
    table.add_column("images", no_wrap=True)
    previous = None
    for recipe in RECIPES.values():
        if previous not in (None, recipe.data):
            table.add_section()
        previous = recipe.data
        table.add_row(*_cells(recipe))
    return table


def _cells(recipe: Recipe) -> list[str]:
    numbers = (recipe.classes, recipe.batch_size)
    rates = (recipe.learning_rate, recipe.foreground_weight)
    return [
        recipe.name + ("*" if recipe.note else ""),
        *map(str, numbers),
        *(f"{rate:.0e}".replace("e-0", "e-") if rate < 1e-3 else f"{rate:g}" for rate in rates),
        f"{recipe.background_weight:g}",
        str(recipe.epochs),
        "inferred",
        recipe.transform,
    ]


def _legend() -> list[tuple[str, str]]:
    first = next(iter(RECIPES.values()))
    return [
        (
            "all",
            f"AdamW, weight decay {first.weight_decay:g}, seed {first.seed}, float32, "
            f"deterministic cuDNN, {first.image_size} × {first.image_size} pixels, random weights",
        ),
        (
            "schedule",
            f"learning rate × {first.gamma:g} every {first.step_epochs} epochs: inferred, since "
            "the scripts' helper that holds it was not published",
        ),
        *((f"{name}", transform.words) for name, transform in TRANSFORMS.items()),
        (
            "loss",
            "cross-entropy − λ_fg A + λ_bg V, the published description; --objective.form exp is "
            "the published scripts' λ_fg exp(−A) + λ_bg exp(V)",
        ),
        (
            "best epoch",
            "chosen on a tenth of the training images, held out; --selection test is the published "
            "way, which trains on all of them and chooses on the test split",
        ),
        *((f"* {recipe.arch}", recipe.note) for recipe in RECIPES.values() if recipe.note),
        (
            "to run one",
            "sib train cub200/resnet50 --root DIR; every value can be overridden, and --method ce "
            "is its baseline",
        ),
    ]
