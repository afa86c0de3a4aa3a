"""Find the masks of images in a folder of the user's own."""

import dataclasses
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from sib.data.beside import NONE, lone_mask, owner
from sib.data.mask_names import is_certain, is_of_masks
from sib.data.readers.kinds import is_image, is_photo
from sib.data.sample import MaskFile, MaskRule, Record
from sib.utils.errors import InputError


class MaskFinder:
    """Finds the masks of images.

    A mask lies beside its image as ``NAME_mask.*`` or with another ending (see `beside.owner`),
    in a folder ``masks`` inside the class folder, or in a parallel tree; in the last two with the
    image's name or that of a mask beside it. In a tree it lies at the image's path, or at this path
    without its first folders, down to the tree itself, if no other image would have the same mask.
    Any format that is read will do. Foreground is 1 where the mask holds 0 and 1 only, and 128 and
    above elsewhere.

    Args:
        trees: trees of masks, each behind the folder that it is parallel to.
        beside: whether masks are looked for outside of the trees too.
        mask_ending: see `beside.owner`.
    """

    def __init__(
        self,
        trees: Sequence[tuple[Path, Path]],
        beside: bool = True,
        mask_ending: str | None = None,
    ) -> None:
        self.trees, self.mask_ending = list(trees), mask_ending
        self._looks_beside = beside and mask_ending != NONE
        self._folders: dict[Path, dict[str, list[str]]] = {}
        self._claims: dict[Path, list[tuple[int, Path]]] = defaultdict(list)
        """By mask: the images, each behind the folders that were left out of its path."""

    def find(self, image: Path, class_folder: Path) -> MaskFile | None:
        """The mask of an image in a class folder; None where there is none.

        Raises:
            InputError: there are several.
        """
        for left_out, folder in self._places(image, class_folder):
            found = self._masks(folder, image)
            if len(found) > 1:
                raise InputError(
                    f"{image} has {len(found)} masks, {found[0]} and {found[1].name}; join them "
                    "into one file"
                )
            if found:
                self._claims[found[0]].append((left_out, image))
                return MaskFile(found[0], MaskRule.BINARY_OR_HALF)
        return None

    def without_doubtful(self, records: list[Record]) -> tuple[list[Record], list[Path]]:
        """The records without ambiguous masks, and these masks, which several images could have.

        A mask at the whole path of an image belongs to that image.
        """
        lost: set[Path] = set()
        doubtful = []
        for mask, claims in self._claims.items():
            least = min(left_out for left_out, _ in claims)
            first = [image for left_out, image in claims if left_out == least]
            lost |= {image for left_out, image in claims if left_out > least}
            if least and len(first) > 1:
                lost |= set(first)
                doubtful.append(mask)
        kept = [
            dataclasses.replace(record, foreground=None) if record.image in lost else record
            for record in records
        ]
        return kept, sorted(doubtful)

    def used(self, records: Sequence[Record]) -> list[Path]:
        """The trees that hold a mask of an image."""
        masks = [r.foreground.path for r in records if isinstance(r.foreground, MaskFile)]
        trees = {tree for _, tree in self.trees}
        return [tree for tree in trees if any(path.is_relative_to(tree) for path in masks)]

    def _places(self, image: Path, class_folder: Path) -> Iterator[tuple[int, Path]]:
        """Folders that may hold the mask, each behind how many folders of the path it lacks."""
        if self._looks_beside:
            yield from ((0, folder) for folder in self._beside(image, class_folder))
        paths = [
            (tree, image.parent.relative_to(base).parts)
            for base, tree in (*self.trees, *self._inside(image, class_folder))
            if image.is_relative_to(base)
        ]
        yield from ((0, tree.joinpath(*parts)) for tree, parts in paths)
        for tree, parts in paths:
            for left_out in range(1, len(parts) + 1):
                yield left_out, tree.joinpath(*parts[left_out:])

    def _inside(self, image: Path, class_folder: Path) -> Iterator[tuple[Path, Path]]:
        """The trees inside a class folder, if its images lie deeper than `_beside` looks."""
        if self._looks_beside and image.is_relative_to(class_folder):
            names = self._listed(class_folder)["/"]
            yield from ((class_folder, class_folder / name) for name in names if is_certain(name))

    def _beside(self, image: Path, class_folder: Path) -> Iterator[Path]:
        yield image.parent
        inside = image.parent != class_folder
        for parent in (image.parent, image.parent.parent)[: 1 + inside]:
            names = self._listed(parent)["/"]
            yield from (parent / name for name in names if is_of_masks(name))

    def _masks(self, folder: Path, image: Path) -> list[Path]:
        """The files of a folder that are masks of an image."""
        listed = self._listed(folder)
        stem = image.stem.casefold()
        named = listed.get(f"/{stem}", [])
        same = [] if folder == image.parent else listed.get(stem, [])
        found = [name for name in same or named if folder / name != image]
        # where names differ in their case alone, each image has its own
        own = image.stem
        exact = [n for n in found if n.startswith(own) or Path(n).stem.endswith(own)]
        return [folder / name for name in exact or found]

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        """Images by their stem, masks by ``/`` and their photograph's, folders under ``/``.

        Stems are compared in any case.
        """
        if folder in self._folders:
            return self._folders[folder]
        found: dict[str, list[str]] = {"/": []}
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:  # there need not be such a folder
            entries = []
        names = [entry.name for entry in entries]
        for entry in entries:
            if entry.name[0] != "." and entry.is_dir():
                found["/"].append(entry.name)
            elif is_image(entry.name):
                found.setdefault(Path(entry.name).stem.casefold(), []).append(entry.name)
                photo = owner(entry.name, self.mask_ending)
                if photo is not None:
                    found.setdefault(f"/{photo.casefold()}", []).append(entry.name)
        alone = lone_mask(list(filter(is_photo, names))) if self.mask_ending is None else None
        if alone is not None:
            found.setdefault(f"/{alone[1].casefold()}", []).append(alone[0])
        self._folders[folder] = found
        return found
