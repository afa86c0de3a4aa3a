"""Pictures of a bright square on noise, annotated, as a source and as a folder."""

import json

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import tv_tensors

from sib.data.sample import Sample
from sib.models import SmallResNet

SIDE = 8
AREA = SIDE**2 / 32**2
"""Share of the square in a picture of 32 × 32."""


def picture(index, size=(32, 32)):
    """Image (H, W, 3) and foreground (H, W) of one picture with a square of 8 × 8."""
    rng = np.random.default_rng(index)
    image = rng.integers(0, 60, (*size, 3), dtype=np.uint8)
    top, left = (int(rng.integers(SIDE // 2, length - 3 * SIDE // 2)) for length in size)
    mask = np.zeros(size, dtype=bool)
    mask[top : top + SIDE, left : left + SIDE] = True
    image[mask] = [230, 210, 60]
    return image, mask


class Squares:
    """A source of N such pictures of two classes."""

    annotated = True

    def __init__(self, count, size=(32, 32), annotated=True):
        self.size, self.annotated = size, annotated
        self.labels = [index % 2 for index in range(count)]
        self.classes, self.names = ["a", "b"], [f"square {index}" for index in range(count)]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image, mask = picture(index, self.size)
        pixels = tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1))
        foreground = tv_tensors.Mask(torch.from_numpy(mask)[None]) if self.annotated else None
        return Sample(pixels, self.labels[index], foreground)


def write_folder(root, count=24, size=(32, 32), beside=False):
    """The same as files, a folder for each class; masks in a tree of their own or beside them."""
    for index in range(count):
        image, mask = picture(index, size)
        for tree, pixels in (("images", image), ("masks", mask.astype(np.uint8) * 255)):
            folder = root / ("images" if beside else tree) / "ab"[index % 2]
            folder.mkdir(parents=True, exist_ok=True)
            end = "_mask" if beside and tree == "masks" else ""
            Image.fromarray(pixels).save(folder / f"{index}{end}.png")
    return root / "images", root / "masks"


def start_weights(folder):
    """A file of a small network's weights, to start from."""
    path = folder / "start.safetensors"
    torch.manual_seed(0)
    facts = {"arch": "small_resnet", "normalization": "half", "classes": ["a", "b"]}
    save_file(SmallResNet(2).state_dict(), path, {"sib": json.dumps(facts)})
    return str(path)
