"""Small pictures on disk in each layout: a red square on grey, whose mask is the square."""

from pathlib import Path

import numpy as np
from PIL import Image

from sib.data import open_data

HEIGHT, WIDTH = 30, 40
SQUARE = (slice(8, 20), slice(12, 28))


def square_pixels(height=HEIGHT, width=WIDTH, square=SQUARE):
    pixels = np.full((height, width, 3), 90, np.uint8)
    pixels[square] = (255, 0, 0)
    return pixels


def square_mask(value, height=HEIGHT, width=WIDTH, square=SQUARE):
    mask = np.zeros((height, width), np.uint8)
    mask[square] = value
    return mask


def save(path: Path, pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path)
    return path


def save_classes(root: Path, classes=("cat", "dog"), count=5, ending=".png") -> Path:
    for name in classes:
        for number in range(count):
            save(root / name / f"{number}{ending}", square_pixels())
    return root


def save_palette(path: Path, values) -> Path:
    image = Image.fromarray(values, mode="P")
    image.putpalette([0, 0, 0, 10, 0, 0, 0, 250, 0, 0, 0, 200])
    return save(path, image)


def save_leeds(root: Path, count=5) -> Path:
    save_classes(root / "images", count=count)
    for name in ("cat", "dog"):
        for number in range(count):
            values = square_mask(1)
            values[0, 0], values[0, 1], values[0, 2] = 2, 3, 0
            save_palette(root / "segmentations" / name / f"{number}_seg0.png", values)
    return root


def save_splits(root: Path, names=("train", "test"), count=4) -> Path:
    for name in names:
        save_classes(root / name, count=count)
    return root


CUB_IMAGES = [  # id, path, class id, training
    (3, "9.Owl/a.png", 9, 1),
    (5, "9.Owl/b.png", 9, 1),
    (6, "9.Owl/c.png", 9, 0),
    (11, "10.Jay/a b.png", 10, 1),
    (12, "10.Jay/b.png", 10, 1),
    (20, "10.Jay/c.png", 10, 0),
]
BOX = "12.0 8.0 16.0 12.0"


def save_cub(root: Path, boxes=True, names=True) -> Path:
    for _, path, _, _ in CUB_IMAGES:
        save(root / "images" / path, square_pixels())
    tables = {
        "images.txt": [f"{row[0]} {row[1]}" for row in CUB_IMAGES],
        "image_class_labels.txt": [f"{row[0]} {row[2]}" for row in CUB_IMAGES],
        "train_test_split.txt": [f"{row[0]} {row[3]}" for row in CUB_IMAGES],
    }
    if boxes:
        tables["bounding_boxes.txt"] = [f"{row[0]} {BOX}" for row in CUB_IMAGES]
    if names:
        tables["classes.txt"] = ["9 009.Owl", "10 010.Blue Jay"]
    for name, lines in tables.items():
        (root / name).write_text("\n".join(lines) + "\n")
    return root


def replace_line(file: Path, number: int, line: str) -> None:
    """Write ``line`` in place of line ``number``, counted from 1."""
    lines = file.read_text().splitlines()
    lines[number - 1] = line
    file.write_text("\n".join(lines) + "\n")


def open_folder(root, **options):
    return open_data(str(root), **options)


def all_names(splits):
    return [*splits.train.names, *splits.validation.names, *splits.test.names]
