"""Two classifiers whose every decision is known, and images for them.

Each image is an even square in front of an even background. The classes are red, green and blue;
one classifier reads the colour of the square, the other one that of the background.
"""

import csv

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from helpers.pictures import save

SIDE, PLACE = 32, slice(8, 24)
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
SCALE = 10.0


class Reader(nn.Module):
    """Logits are 10 times the mean colour of a part of the image, blue first."""

    def __init__(self, num_classes, inside):
        super().__init__()
        where = torch.zeros(SIDE, SIDE)
        where[PLACE, PLACE] = 1
        where = where if inside else 1 - where
        self.register_buffer("where", where / where.sum())
        self.head = nn.Linear(3, num_classes, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(SCALE * torch.eye(3).flip(0)[:num_classes])

    def forward(self, images):
        return self.head((images * self.where).sum(dim=(2, 3)))


def object_reader(num_classes):
    return Reader(num_classes, inside=True)


def background_reader(num_classes):
    return Reader(num_classes, inside=False)


def weights(folder, name):
    """A file of weights of ``object_reader`` or ``background_reader``."""
    path = folder / f"{name}.safetensors"
    save_file(globals()[name](3).state_dict(), path)
    return path


def arguments(name, data):
    """Options of a command for it."""
    own = ["--arch", f"helpers.handmade:{name}", "--image-size", str(SIDE)]
    return [*own, "--normalization", "half", "--data", str(data), "--device", "cpu"]


def picture(colour, background):
    pixels = np.empty((SIDE, SIDE, 3), np.uint8)
    pixels[:] = COLOURS[background]
    pixels[PLACE, PLACE] = COLOURS[colour]
    return pixels


def mask():
    found = np.zeros((SIDE, SIDE), np.uint8)
    found[PLACE, PLACE] = 255
    return found


def images(root, own=4, other=2, with_groups=True):
    """Test images: ``own`` of each class before its own colour and ``other`` before the next."""
    names, rows = list(COLOURS), []
    for index, name in enumerate(names):
        following = names[(index + 1) % len(names)]
        for number in range(own + other):
            background = name if number < own else following
            for split in ("train", "test"):
                place = f"{split}/{name}/{number}"
                save(root / f"{place}.png", picture(name, background))
                save(root / f"{place}_mask.png", mask())
                group = "own" if number < own else "other"
                rows.append((f"{place}.png", f"{name}, {group} background"))
    if with_groups:
        with open(root / "groups.csv", "w", newline="") as file:
            csv.writer(file).writerows([("image", "group"), *rows])
    return root
