"""One function guesses what a mistyped name stands for."""

import pytest

from sib.config.recipes import RECIPES
from sib.utils.nearest import nearest, perhaps

MODULES = ["stem", "stages", "stages.0", "stages.0.body", "head"]


@pytest.mark.parametrize(
    ("typed", "allowed", "meant"),
    [
        ("stm", MODULES, "stem"),  # one letter is missing
        ("haed", MODULES, "head"),  # two letters are exchanged
        ("body", MODULES, "stages.0.body"),  # its last part
        ("resnet81", ["resnet18", "resnet50"], "resnet18"),
        ("tensorbord", ["tensorboard", "wandb"], "tensorboard"),
        ("fc.weight", ["head.fc.weight", "head.fc.bias"], "head.fc.weight"),
        ("cub201/resnet18", RECIPES, "cub200/resnet18"),
    ],
)
def test_the_likeliest_name_comes_first(typed, allowed, meant):
    assert nearest(typed, allowed) == [meant]


def test_several_names_may_be_meant():
    assert set(nearest("resnet50", RECIPES, count=20)) >= {
        name for name in RECIPES if name.endswith("/resnet50")
    }
    assert perhaps("cub200", RECIPES, count=2).count(" or cub200/") == 1


@pytest.mark.parametrize("typed", ["xyz", "", "a", "dropout", "max-steps"])
def test_no_name_is_better_than_a_wrong_one(typed):
    assert nearest(typed, ["bad-steps", "drop-last", "stem"]) == []
    assert perhaps(typed, ["bad-steps", "drop-last", "stem"]) == ""
