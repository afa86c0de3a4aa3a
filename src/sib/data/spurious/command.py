"""``sib data make-spurious``: a set whose backgrounds predict the class in training."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console

from sib import __version__
from sib.config.data import MakeSpuriousConfig
from sib.data.annotation_notes import sentences
from sib.data.locate import locate_data
from sib.data.open import Splits, open_data
from sib.data.sample import labels_of
from sib.data.source import Source
from sib.data.spurious import compose
from sib.data.spurious.families import Colours, cut_colours, families_of, members, pattern
from sib.data.spurious.plan import Picture, test_pictures, train_pictures
from sib.data.spurious.write import (
    check_out,
    folder_names,
    save_groups,
    save_picture,
    whole_folder,
)
from sib.data.understood import remarks
from sib.utils.errors import InputError
from sib.utils.files import write_whole
from sib.utils.progress_bar import progress

FACTS = "make-spurious.json"
MOST_COPIES = 10
SPLITS = ("train", "test")


class Objects(NamedTuple):
    """The usable images of a split."""

    source: Source
    places: list[int]
    """Indices in the source."""
    labels: list[int]
    colours: Colours
    """(N, 3), mean colours of their backgrounds."""


def make_spurious(config: MakeSpuriousConfig, console: Console) -> dict[str, Any]:
    """Make the set.

    Returns:
        The content of ``make-spurious.json``.

    Raises:
        InputError: an argument that is not allowed, a problem with the source, or a class without
            an object that can be cut out. Then nothing is left in the folder.
    """
    check_out(config.out, locate_data(config.name, config.root))
    annotations = None if config.annotations is None else str(config.annotations)
    splits = open_data(
        config.name,
        root=config.root,
        masks=config.masks,
        annotations=annotations,
        hold_out_validation=False,
        split_seed=config.seed,
        skip_bad=config.on_bad_image == "skip",
    )
    for sentence in (*sentences(splits.description), *remarks(splits)):
        _say(console, sentence)
    parts = {split: _objects(config, splits, split, console) for split in SPLITS}
    scenes = _scenes(config, parts) if config.backgrounds != "procedural" else None
    generator = np.random.default_rng([config.seed, 0])
    classes = len(splits.classes)
    copies = min(classes, config.test_backgrounds or MOST_COPIES)
    pictures = {
        "train": train_pictures(
            parts["train"].labels, classes, config.strength, config.backgrounds, generator
        ),
        "test": test_pictures(parts["test"].labels, classes, copies, config.backgrounds, generator),
    }
    facts = _facts(config, splits, parts, pictures, copies)
    with whole_folder(config.out) as folder:
        rows = _write(config, folder, splits.classes, parts, pictures, scenes, console)
        save_groups(folder, rows)
        write_whole(folder / FACTS, json.dumps(facts, indent=1, ensure_ascii=False))
    _say(console, _summary(config, facts))
    return facts


def _objects(config: MakeSpuriousConfig, splits: Splits, split: str, console: Console) -> Objects:
    """Read a split once: which images are usable, and the colours of their backgrounds.

    Raises:
        InputError: a class has no image that can be used.
    """
    source: Source = getattr(splits, split)
    places, colours = [], []
    with progress(console, f"looking at the {split} images", len(source)) as bar:
        for place in range(len(source)):
            bar(1)
            try:
                image, mask = compose.scaled(source, place, config.side)
            except InputError as error:
                if config.on_bad_image != "skip":
                    raise
                _say(console, f"left out: {error}")
                continue
            if compose.is_usable(mask):
                places.append(place)
                colours.append(compose.background_colour(image, mask))
    labels = [label for place in places for label in labels_of(source.labels[place])]
    lacking = sorted(set(range(len(splits.classes))) - set(labels))
    if lacking:
        raise InputError(
            f"no {split} image of the class {splits.classes[lacking[0]]} in {splits.name} has a "
            "foreground with background around it, so no object of it can be cut out"
        )
    return Objects(source, places, labels, np.array(colours))


def _scenes(config: MakeSpuriousConfig, parts: dict[str, Objects]) -> dict[str, list[np.ndarray]]:
    """For each split and family, the images that lend their background.

    Families are assigned to classes at random, independently of the objects.
    """
    train = parts["train"].colours
    count = len(set(parts["train"].labels))
    try:
        cuts = cut_colours(train, count)
    except ValueError:
        raise InputError(
            f"the backgrounds of {config.name} are too similar to make {count} families of "
            "them: give --backgrounds procedural"
        ) from None
    found = families_of(train, cuts)
    means = np.stack([train[found == family].mean(axis=0) for family in range(count)])
    order = np.random.default_rng([config.seed, 1]).permutation(count)
    lenders = {split: members(part.colours, cuts, means) for split, part in parts.items()}
    return {split: [rows[family] for family in order] for split, rows in lenders.items()}


def _write(
    config: MakeSpuriousConfig,
    folder: Path,
    classes: list[str],
    parts: dict[str, Objects],
    pictures: dict[str, list[Picture]],
    scenes: dict[str, list[np.ndarray]] | None,
    console: Console,
) -> list[list[str]]:
    """Write every picture, and return the rows of ``groups.csv``."""
    names, rows = folder_names(classes), []
    with progress(console, "making pictures", sum(map(len, pictures.values()))) as bar:
        for split in SPLITS:
            part = parts[split]
            for number, picture in enumerate(pictures[split]):
                # one generator per picture, so that none depends on the others
                generator = np.random.default_rng([config.seed, 2, SPLITS.index(split), number])
                own, lenders = part.labels[picture.place], scenes[split] if scenes else None
                image, mask = compose.scaled(part.source, part.places[picture.place], config.side)
                size = (image.shape[1], image.shape[2])
                background, lender = _background(config, part, picture, lenders, size, generator)
                path = f"{split}/{names[own]}/{number:06d}.png"
                save_picture(folder / path, compose.pasted(image, mask, background), mask)
                whose = "own" if picture.family == own else "other"
                rows.append(
                    [
                        path,
                        f"{classes[own]}, {whose} background",
                        classes[own],
                        classes[picture.family],
                        "procedural" if picture.procedural else "image",
                        part.source.names[part.places[picture.place]],
                        lender,
                    ]
                )
                bar(1)
    return rows


def _background(
    config: MakeSpuriousConfig,
    part: Objects,
    picture: Picture,
    lenders: list[np.ndarray] | None,
    size: tuple[int, int],
    generator: np.random.Generator,
) -> tuple[Any, str]:
    """A background, uint8 (3, H, W), and the name of the image that lent it; no name if drawn."""
    if picture.procedural or lenders is None:
        square = pattern(picture.family, generator, max(size))
        drawn = np.ascontiguousarray(square[: size[0], : size[1]].transpose(2, 0, 1))
        return torch.from_numpy(drawn), ""
    rows = lenders[picture.family]
    others = rows[rows != picture.place]
    row = int(generator.choice(others if len(others) else rows))
    place = part.places[row]
    scene = compose.empty_scene(*compose.scaled(part.source, place, config.side))
    return compose.cropped(scene, size, generator), part.source.names[place]


def _facts(
    config: MakeSpuriousConfig,
    splits: Splits,
    parts: dict[str, Objects],
    pictures: dict[str, list[Picture]],
    copies: int,
) -> dict[str, Any]:
    def own(split: str) -> float:
        labels = parts[split].labels
        return float(np.mean([p.family == labels[p.place] for p in pictures[split]]))

    options = {name: str(v) if isinstance(v, Path) else v for name, v in asdict(config).items()}
    return {
        "format": 1,
        "source": splits.name,
        "options": {name: v for name, v in options.items() if name not in ("out", "root")},
        "classes": splits.classes,
        "test_backgrounds": copies,
        "parts": {
            "train": "the background predicts the class",
            "test": "the background is independent of the class",
        },
        "images": {split: len(pictures[split]) for split in SPLITS},
        "objects": {split: len(parts[split].places) for split in SPLITS},
        "left_out": {s: len(parts[s].source) - len(parts[s].places) for s in SPLITS},
        "own_background": {split: own(split) for split in SPLITS},
        "data": splits.description,
        "version": __version__,
    }


def _summary(config: MakeSpuriousConfig, facts: dict[str, Any]) -> str:
    images, share, left = facts["images"], facts["own_background"], facts["left_out"]
    text = (
        f"{config.out}: {images['train']} training images, {share['train']:.3f} of them in front "
        f"of a background of their class's family. {images['test']} test images of "
        f"{facts['objects']['test']} objects, each in front of {facts['test_backgrounds']} "
        f"families, so {share['test']:.3f} of the images have their own."
    )
    if any(left.values()):
        text += (
            f" Left out, without an object or without a background: {left['train']} training and "
            f"{left['test']} test images."
        )
    return text


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
