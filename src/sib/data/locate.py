"""Find a data set by its name or folder, and read what it holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sib.data.annotate import annotate
from sib.data.beside import NONE, check_ending
from sib.data.datasets import cub, folder, leeds, published
from sib.data.datasets.catalogue import CATALOGUE
from sib.data.files import list_folders
from sib.data.layout import Layout, Parts, as_parts
from sib.data.mask_names import is_certain
from sib.data.readers.decode import parse_value_range
from sib.data.sample import MaskFile, Record
from sib.data.several import read_several
from sib.utils.errors import InputError

DIGITS = "digits"
NAMES = (DIGITS, *CATALOGUE)
Reader = Callable[[Path, Path | None, str | None], Layout]
LAYOUTS: tuple[tuple[Callable[[Path], bool], Reader], ...] = (
    (cub.matches, lambda root, masks, mask_ending: cub.read(root, masks)),
    (folder.has_splits, folder.read_splits),
    (leeds.matches, leeds.read),
    (lambda root: True, folder.read_pool),
)
"""Which reader takes a folder: the first that matches."""


def locate_data(data: str, root: Path) -> Path:
    """The folder of a published set, or the user's own folder.

    Raises:
        InputError: there is none.
    """
    if data == DIGITS:
        raise InputError(f"{DIGITS} is drawn, not stored; name a folder or a published set")
    if data in CATALOGUE:
        return published.locate(data, root.expanduser())
    return existing_folder("data", data)


def read_parts(
    data: str,
    root: Path,
    masks: str | None = None,
    mask_ending: str | None = None,
    value_range: str | None = None,
    annotations: str | Path | None = None,
    labels: str | Path | None = None,
    several: bool = False,
) -> Parts:
    """What a published set or a folder holds, before anything is held out or checked.

    Args:
        data: its name or folder.
        root: of the published sets.
        masks: folders only, folder of foreground masks.
        mask_ending: folders only, see `beside.owner`.
        value_range: folders only, see `open_data`.
        annotations: folders only, see `annotate`.
        labels: folders only, a table of several labels an image, see `read_several`.
        several: whether the images have several labels, also where ``labels`` is not given.

    Raises:
        InputError: it does not exist, or a problem with a file that the reader needs.
    """
    check_own_options(data, masks, mask_ending, value_range, annotations, labels=labels)
    folder = locate_data(data, root)
    tree = existing_folder("masks", masks) if masks is not None else None
    found = Path(annotations) if annotations is not None else None
    stretched = parse_value_range(value_range) if value_range is not None else None
    with readable(folder):
        if data in CATALOGUE:
            return published.read(data, folder)
        if labels is not None or several:
            table = None if labels is None else Path(labels)
            layout = read_several(folder, table, tree, mask_ending)
            layout = layout if found is None else annotate(layout, found)
        else:
            layout = read_layout(folder, tree, mask_ending, found)
        return as_parts(layout, stretched)


def check_own_options(
    data: str,
    masks: str | None,
    mask_ending: str | None,
    value_range: str | None,
    annotations: str | Path | None,
    groups: str | None = None,
    labels: str | Path | None = None,
) -> None:
    """Raise InputError where options for a folder of the user's own are given for another set.

    Masks and annotations cannot be combined.
    """
    check_ending(mask_ending)
    given = {"masks": masks, "mask_ending": mask_ending, "value_range": value_range}
    for name, value in given.items():
        if value is not None and data in NAMES:
            kind = "which has its own" if data == DIGITS else "a published set"
            raise InputError(f"{name} cannot be given for {data}, {kind}; got {value!r}")
    for name, path in {"annotations": annotations, "groups": groups, "labels": labels}.items():
        if path is not None and data in NAMES:
            raise InputError(f"{name} are for a folder of images; got {str(path)!r} for {data}")
    if masks is not None and annotations is not None:
        raise InputError("masks and annotations cannot be given together; give one")


@contextmanager
def readable(root: Path) -> Iterator[None]:
    """Report a file that the system refuses to read, in one sentence.

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


def read_layout(
    root: Path,
    masks: Path | None,
    mask_ending: str | None = None,
    annotations: Path | None = None,
) -> Layout:
    """Read a folder of the user's own by the first reader that takes it.

    Args:
        root: the folder.
        masks: folder of foreground masks; it must hold one.
        mask_ending: what follows an image's name in its mask's; one must have it. See
            `beside.owner`.
        annotations: file or folder of boxes and masks; see `annotate`.

    Raises:
        InputError: a problem with a file.
    """
    layout = next(read for matches, read in LAYOUTS if matches(root))(root, masks, mask_ending)
    parts = (layout.train, layout.validation, layout.test)
    records = [record for part in parts for record in part or []]
    if masks is not None and not any(_has_mask_in(record, masks) for record in records):
        inner = next((path for path in list_folders(masks) if is_certain(path.name)), None)
        hint = f". If its masks are those in {inner.name}, give {inner}" if inner else ""
        raise InputError(
            f"masks: {masks} holds no mask for {records[0].name} or any other image; a mask lies "
            f"at its image's path below its root, in any format that is read{hint}"
        )
    wanted = mask_ending not in (None, NONE)
    if wanted and not any(isinstance(record.foreground, MaskFile) for record in records):
        raise InputError(
            f"mask_ending: no image of {root} has a mask whose name ends with {mask_ending}"
        )
    return layout if annotations is None else annotate(layout, annotations)


def _has_mask_in(record: Record, folder: Path) -> bool:
    source = record.foreground
    return isinstance(source, MaskFile) and source.path.is_relative_to(folder)
