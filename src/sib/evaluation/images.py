"""The images that a command line names."""

from collections.abc import Callable
from pathlib import Path

from sib import distributed
from sib.config.choices import Resize
from sib.data.files import list_files
from sib.data.readers.decode import opened, read_image, read_size
from sib.data.transforms import check_resized
from sib.data.understood import plural
from sib.utils.errors import InputError, sift
from sib.utils.image_size import ImageSize
from sib.utils.terminal import Terminal


def find_images(paths: tuple[Path, ...]) -> list[Path]:
    """The files, and the images in each folder.

    Raises:
        InputError: a path does not exist, or a folder holds no image.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist; give an image or a folder of images")
        images = list_files(path).images if path.is_dir() else [path]
        if not images:
            raise InputError(f"{path} holds no image")
        found += images
    return found


def readable_images(paths: tuple[Path, ...], skip_bad: bool) -> list[Path]:
    """The images of `find_images`, all of which are checked before any is used.

    Args:
        paths: files and folders.
        skip_bad: leave images out that cannot be read, for which each is decoded once; without
            it, headers are looked at. Those left out are listed on standard error.

    Raises:
        InputError: an image cannot be read, and none may be left out, or there is no other.
    """
    images = find_images(paths)
    if not skip_bad:
        for image in images:
            with opened(image):
                pass
        return images
    return _those_that(read_image, images, "read", "read")


def fitting_images(
    images: list[Path], size: ImageSize, resize: Resize, skip_bad: bool
) -> list[Path]:
    """The images that can be brought to a network's size, see `check_resized`.

    Raises:
        InputError: one cannot, and none may be left out, or there is no other.
    """

    def look(image: Path) -> None:
        check_resized(read_size(image), size, str(image), resize)

    if not skip_bad:
        for image in images:
            look(image)
        return images
    return _those_that(look, images, "used", "resized")


def _those_that(
    look: Callable[[Path], object], images: list[Path], use: str, failure: str
) -> list[Path]:
    """The images that pass a check without InputError; the others are listed as left out."""
    kept, problems = sift(images, look)
    if not kept:
        raise InputError(f"none of the {plural(len(images))} can be {use}: {problems[0]}")
    if problems:
        _list(f"left out: {plural(len(problems))} that cannot be {failure}", problems)
    return kept


def _list(title: str, problems: list[str]) -> None:
    # a table or JSON on standard output may be read by a program
    stderr = Terminal(stderr=True, quiet=not distributed.should_print())
    for line in (title, *(f"- {problem}" for problem in problems)):
        stderr.print(line, highlight=False, markup=False, soft_wrap=True)
