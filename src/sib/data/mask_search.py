"""The masks of all images of a folder, and what to report of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sib.data.files import printable
from sib.data.mask_finder import MaskFinder
from sib.data.mask_folders import MaskFolders, notes_on
from sib.data.sample import MaskFile, Record
from sib.utils.errors import InputError


class MaskSearch:
    """Finds the masks of a folder's images.

    Args:
        root: the folder.
        base: root of the images, ``images`` in the folder or the folder itself; all trees beside
            ``images`` are parallel to it.
        found: what `mask_folders` found in the folders of images.
        masks: root of a tree parallel to ``base``, in place of all other places.
        mask_ending: what follows an image's name in its mask's; see `beside.owner`.
    """

    def __init__(
        self,
        root: Path,
        base: Path,
        found: list[MaskFolders],
        masks: Path | None = None,
        mask_ending: str | None = None,
    ) -> None:
        self.root, self.found, self.masks = root, found, masks
        trees = [
            (base if base.is_relative_to(parallel) else parallel, tree)
            for each in found
            for parallel, tree in each.trees
        ]
        trees = trees if masks is None else [(base, masks)]
        self._finder = MaskFinder(trees, masks is None, mask_ending)

    @property
    def folders(self) -> list[Path]:
        """Folders that are neither a class nor a split."""
        known = [folder for each in self.found for folder in each.all]
        return known if self.masks is None else [*known, self.masks]

    def find(self, image: Path, class_folder: Path) -> MaskFile | None:
        """See `MaskFinder.find`."""
        return self._finder.find(image, class_folder)

    def settle(
        self, parts: dict[str, list[Record]], masks: Iterable[Path] = ()
    ) -> tuple[dict[str, list[Record]], dict[str, Any]]:
        """The records without doubtful masks, and notes on the masks.

        Args:
            parts: records by split, with the masks that `find` found.
            masks: files in folders of masks, of which those that no image has are counted.

        Raises:
            InputError: a mask of a tree that the user named may be that of several images.
        """
        every = [record for own in parts.values() for record in own]
        kept, doubtful = self._finder.without_doubtful(every)
        if doubtful and self.masks is not None:
            raise InputError(
                f"masks: {doubtful[0]} may be the mask of several images; put the masks into the "
                "same folders as the images"
            )
        remaining = iter(kept)
        records = {split: [next(remaining) for _ in own] for split, own in parts.items()}
        notes: dict[str, Any] = {}
        if self.masks is None:
            notes |= notes_on(self.found, self._finder.used(kept), self.root)
        found = {r.foreground.path for r in kept if isinstance(r.foreground, MaskFile)}
        lost = [mask for mask in masks if mask not in found and mask not in doubtful]
        if lost:
            first = printable(lost[0].relative_to(self.root).as_posix())
            notes["masks_without_image"] = [len(lost), first]
        if doubtful:
            first = printable(doubtful[0].relative_to(self.root).as_posix())
            notes["masks_doubtful"] = [len(doubtful), first]
        return records, notes
