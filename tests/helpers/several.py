"""Classifiers of two labels whose every decision is known, and images for them.

An image has the labels left and right, both or none: a white square on that side of a black image.
The upper left corner is white in images with the label left, and black in others.
"""

import json

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from helpers.pictures import save

SIDE = 32
PLACES = {"left": (slice(12, 24), slice(4, 12)), "right": (slice(12, 24), slice(20, 28))}
CORNER = (slice(0, 4), slice(0, 4))


class Reader(nn.Module):
    """Logit k is 10 times the mean of a place, between −1 and 1."""

    def __init__(self, places):
        super().__init__()
        where = torch.zeros(len(places), SIDE, SIDE)
        for row, place in enumerate(places):
            where[(row, *place)] = 1
        self.register_buffer("where", where / where.sum(dim=(1, 2), keepdim=True))
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, images):
        return self.scale * torch.einsum("bhw,khw->bk", images.mean(dim=1), self.where)


def object_reader(num_classes):
    return Reader(list(PLACES.values()))


def corner_reader(num_classes):
    """Decides left by the corner."""
    return Reader([CORNER, PLACES["right"]])


def weights(folder, name):
    """A file of weights of ``object_reader`` or ``corner_reader``."""
    path = folder / f"{name}.safetensors"
    save_file(globals()[name](2).state_dict(), path)
    return path


def arguments(name, data):
    """Options of a command for it."""
    own = ["--arch", f"helpers.several:{name}", "--image-size", str(SIDE), "--device", "cpu"]
    files = ["--labels", str(data / "labels.csv"), "--annotations", str(data / "coco.json")]
    return [*own, "--normalization", "half", "--data", str(data / "photos"), *files]


def picture(labels):
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    for label in labels:
        pixels[PLACES[label]] = 255
    pixels[CORNER] = 255 * ("left" in labels)
    return pixels


def images(root, count=6, with_classes=True):
    """``count`` images of each set of labels in each split, with boxes, groups and labels."""
    names = list(PLACES)
    rows, groups, files, boxes = ["image,left,right"], ["image,group"], [], []
    for split in ("train", "test"):
        for number in range(4 * count):
            own = [name for bit, name in enumerate(names) if number >> bit & 1]
            file = f"{split}/{number}.png"
            save(root / "photos" / file, picture(own))
            rows.append(",".join([file, *(str(int(name in own)) for name in names)]))
            groups.append(f"{file},{'both' if len(own) == 2 else 'fewer'}")
            for name in own:
                down, across = PLACES[name]
                box = [across.start, down.start, 8, 12]
                boxes.append(
                    {"image_id": len(files), "category_id": names.index(name), "bbox": box}
                )
            files.append({"id": len(files), "file_name": file, "height": SIDE, "width": SIDE})
    categories = [{"id": n, "name": name} for n, name in enumerate(names)]
    content = {"images": files, "annotations": boxes, "categories": categories * with_classes}
    (root / "coco.json").write_text(json.dumps(content))
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    (root / "groups.csv").write_text("\n".join(groups) + "\n")
    return root
