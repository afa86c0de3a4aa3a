"""Annotations of a square in ten images, as each format writes them."""

import json

import numpy as np

from helpers.pictures import square_mask
from sib.data.annotation_notes import sentences
from sib.data.open import open_data

BOX = [12, 8, 16, 12]
"""The square as x, y, width and height."""
POLYGON = [12, 8, 28, 8, 28, 20, 12, 20]
EXPECTED = square_mask(1) == 1
NAMES = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(5)]


def coco(objects, names=NAMES, size=(30, 40)):
    """COCO with the same objects in every image."""
    images = [
        {"id": index, "file_name": name, "height": size[0], "width": size[1]}
        for index, name in enumerate(names)
    ]
    entries = [{"image_id": index, **entry} for index in range(len(names)) for entry in objects]
    return {"images": images, "annotations": entries, "categories": []}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def foregrounds(splits):
    found = {}
    for source in (splits.train, splits.validation, splits.test):
        for index, name in enumerate(source.names):
            mask = source[index].foreground
            found[name] = None if mask is None else mask[0].numpy()
    return found


def opened(folder, path):
    return open_data(str(folder), annotations=str(path))


def check_all(folder, path, name):
    """Every image has the square."""
    splits = opened(folder, path)
    found = foregrounds(splits)
    assert sorted(found) == NAMES
    assert all(np.array_equal(mask, EXPECTED) for mask in found.values())
    sentence, *others = sentences(splits.description)
    assert all("could be two corners" in each for each in others)
    assert sentence == f"annotations: {name}; 10 of 10 images have a foreground"


def voc(filename=None, boxes=((12, 8, 28, 20),), size=(30, 40), extra=""):
    objects = "".join(
        f"<object><name>x</name>{extra}<bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    named = f"<filename>{filename}</filename>" if filename else ""
    whole = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>" if size else ""
    return f"<annotation>{named}{whole}{objects}</annotation>"


def pack_brush(values: list[int], longest: int = 1000) -> list[int]:
    """A picture's values as Label Studio packs them, in blocks of at most ``longest`` values."""
    bits = f"{len(values):032b}" + f"{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    place = 0
    while place < len(values):
        block = values[place : place + longest]
        same = next((i for i, each in enumerate(block) if each != block[0]), len(block))
        block = block[: max(same, 1)] if same > 1 else block
        which, width = next((i, w) for i, w in enumerate((3, 4, 8, 16)) if len(block) <= 2**w)
        bits += str(int(same > 1)) + f"{which:02b}" + f"{len(block) - 1:0{width}b}"
        bits += "".join(f"{each:08b}" for each in (block[:1] if same > 1 else block))
        place += len(block)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
