"""Mosaics of butterflies: images with several labels, and a mask for each object.

python studies/mosaics.py LEEDS OUT

Each image has two or four tiles, and each tile shows a butterfly of one of five species. LEEDS is
the folder of Leeds Butterfly with its ``test.txt``. Training, validation and test mosaics are made
of different photographs. OUT gets ``images/SPLIT``, ``labels.csv`` and ``coco.json``, whose
annotations name the species of each object.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from PIL import Image

SPECIES = 5
TILE = 112
VALIDATION_PHOTOGRAPHS = 10
"""Of each species, for validation."""
MOSAICS = {"train": 200, "val": 80, "test": 100}


@dataclass(frozen=True)
class Options:
    """Make the mosaics."""

    leeds: Annotated[Path, tyro.conf.Positional]
    """Folder of Leeds Butterfly."""
    out: Annotated[Path, tyro.conf.Positional]
    """Folder to write."""
    seed: int = 0
    """Seed of what the mosaics show."""


@dataclass(frozen=True)
class Photograph:
    """A butterfly and its mask."""

    image: Path
    mask: Path
    species: int


def main(options: Options) -> None:
    """Write the images, the labels and the annotations."""
    folders = sorted((options.leeds / "images").iterdir())[:SPECIES]
    names = [folder.name.split(".", 1)[1].replace("_", " ") for folder in folders]
    pools = _photographs(options.leeds, folders)
    generator = np.random.default_rng(options.seed)
    rows, images, annotations = ["image,labels"], [], []
    for split, count in MOSAICS.items():
        (options.out / "images" / split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            file = f"images/{split}/{number:04d}.png"
            tiles, shown = _draw(pools[split], generator)
            picture, objects = _mosaic(tiles)
            picture.save(options.out / file)
            rows.append(f"{file},{';'.join(names[species] for species in shown)}")
            size = {"height": picture.height, "width": picture.width}
            images.append({"id": len(images), "file_name": file, **size})
            annotations += [_annotation(len(images) - 1, *found) for found in objects]
    for number, annotation in enumerate(annotations):
        annotation["id"] = number
    categories = [{"id": species, "name": name} for species, name in enumerate(names)]
    (options.out / "labels.csv").write_text("\n".join(rows) + "\n")
    (options.out / "coco.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )


def _photographs(leeds: Path, folders: list[Path]) -> dict[str, list[list[Photograph]]]:
    """Those of each split, by species; the test's are those of ``test.txt``."""
    pools: dict[str, list[list[Photograph]]] = {split: [] for split in MOSAICS}
    held = set((leeds / "test.txt").read_text().split())
    for species, folder in enumerate(folders):
        masks = leeds / "segmentations" / folder.name
        found = {
            f"{folder.name}/{path.stem}": Photograph(path, masks / f"{path.stem}_seg0.png", species)
            for path in sorted(folder.iterdir())
        }
        rest = [photograph for name, photograph in found.items() if name not in held]
        pools["test"].append([found[name] for name in sorted(held & set(found))])
        pools["val"].append(rest[:VALIDATION_PHOTOGRAPHS])
        pools["train"].append(rest[VALIDATION_PHOTOGRAPHS:])
    return pools


def _draw(
    pool: list[list[Photograph]], generator: np.random.Generator
) -> tuple[list[list[Photograph]], list[int]]:
    """Rows of photographs with up to three species, and these species."""
    height, width = (1, 2) if generator.random() < 0.5 else (2, 2)
    most = min(height * width, 3)
    shown = generator.choice(SPECIES, size=generator.integers(1, most + 1), replace=False)
    more = generator.choice(shown, size=height * width - len(shown))
    order = generator.permutation([*shown, *more])
    tiles = [pool[species][generator.integers(len(pool[species]))] for species in order]
    rows = [tiles[row * width : (row + 1) * width] for row in range(height)]
    return rows, sorted(int(species) for species in shown)


def _mosaic(rows: list[list[Photograph]]) -> tuple[Image.Image, list[tuple[int, Any]]]:
    """The picture, and the species and the mask (H, W) of each object."""
    shape = (len(rows) * TILE, len(rows[0]) * TILE)
    pixels, objects = np.zeros((*shape, 3), np.uint8), []
    for y, row in enumerate(rows):
        for x, photograph in enumerate(row):
            place = np.s_[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE]
            image = Image.open(photograph.image).convert("RGB").resize((TILE, TILE))
            inside = Image.fromarray(np.array(Image.open(photograph.mask)) % 2 == 1)
            mask = np.zeros(shape, bool)
            pixels[place] = np.array(image)
            mask[place] = np.array(inside.resize((TILE, TILE), Image.Resampling.NEAREST))
            objects.append((photograph.species, mask))
    return Image.fromarray(pixels), objects


def _annotation(image: int, species: int, mask: Any) -> dict[str, Any]:
    """An object in COCO's form: run lengths down the columns, the first of them outside."""
    flat = np.concatenate([[False], mask.T.ravel()])
    edges = [0, *np.flatnonzero(flat[1:] != flat[:-1]).tolist(), mask.size]
    lengths = np.diff(edges).tolist()
    return {
        "image_id": image,
        "category_id": species,
        "segmentation": {"counts": lengths, "size": list(mask.shape)},
        "iscrowd": 1,
    }


if __name__ == "__main__":
    main(tyro.cli(Options))
