"""Find a data set by its name or folder, and read what it holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sib.data.annotate import annotate
from sib.data.datasets import cub, folder, leeds, published
from sib.data.layout import Layout, Parts, as_parts
from sib.data.sample import MaskFile, Record
from sib.utils.errors import InputError

DIGITS = "digits"
NAMES = (DIGITS, *published.READERS)
LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path, Path | None], Layout]], ...] = (
    (cub.matches, cub.read),
    (leeds.matches, leeds.read),
    (folder.has_splits, folder.read_splits),
    (lambda root: True, folder.read_pool),
)
"""Which reader takes a folder: the first that matches."""


def locate_data(data: str, root: Path) -> Path:
    """The folder of a published set or of the user's own.

    Raises:
        InputError: there is none.
    """
    if data == DIGITS:
        raise InputError(f"{DIGITS} is drawn, not stored; name a folder or a published set")
    if data in published.READERS:
        return published.locate(data, root.expanduser())
    return existing_folder("data", data)


def read_parts(data: str, root: Path, annotations: Path | None = None) -> Parts:
    """What a published set or a folder holds, before anything is held out or checked.

    Raises:
        InputError: it does not exist, or a problem with a file that the reader needs.
    """
    folder = locate_data(data, root)
    if annotations is not None and data in published.READERS:
        raise InputError(f"annotations cannot be given for {data}, a published set")
    with readable(folder):
        if data in published.READERS:
            return published.read(data, folder)
        return as_parts(read_layout(folder, None, annotations))


@contextmanager
def readable(root: Path) -> Iterator[None]:
    """Tell of a file that the system refuses to read in one sentence.

    Raises:
        InputError: there was one.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename or root} cannot be read: {error.strerror}") from None


def existing_folder(argument: str, given: str) -> Path:
    """The folder that an argument names.

    Raises:
        InputError: there is none.
    """
    if not str(given):
        raise InputError(f"{argument} is empty; give a folder")
    path = Path(given).expanduser()
    if not path.exists():
        hint = f", and is not one of {', '.join(NAMES)}" if argument == "data" else ""
        raise InputError(f"{argument}: {path} does not exist{hint}")
    if not path.is_dir():
        raise InputError(f"{argument}: {path} is a file; give a folder")
    return path


def read_layout(root: Path, masks: Path | None, annotations: Path | None = None) -> Layout:
    """Read a folder of the user's own by the first reader that takes it.

    Args:
        root: the folder.
        masks: folder of foreground masks; it must hold one.
        annotations: file or folder of boxes and masks; see `annotate`.

    Raises:
        InputError: a problem with a file.
    """
    layout = next(read for matches, read in LAYOUTS if matches(root))(root, masks)
    parts = (layout.train, layout.validation, layout.test)
    records = [record for part in parts for record in part or []]
    if masks is not None and not any(_has_mask_in(record, masks) for record in records):
        raise InputError(
            f"masks: {masks} holds no mask for {records[0].name} or any other image; a mask lies "
            "at its image's path below its root, with the ending .png"
        )
    return layout if annotations is None else annotate(layout, annotations)


def _has_mask_in(record: Record, folder: Path) -> bool:
    source = record.foreground
    return isinstance(source, MaskFile) and source.path.is_relative_to(folder)
