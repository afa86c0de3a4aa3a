"""The folder of a set: made beside its place, and moved there when complete."""

import csv
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from torch import Tensor

from sib.utils.errors import InputError
from sib.utils.files import write_whole

MASK_ENDING = "_mask.png"
GROUPS = "groups.csv"
COLUMNS = ("image", "group", "class", "background_of", "kind", "object_from", "background_from")


def check_out(out: Path, source: Path) -> None:
    """Raise InputError unless a folder can be made there without touching anything else."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; give a folder that does not exist or is empty")
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"--out {out} is not empty; give a folder that does not exist or is empty")
    if source.resolve() in [out.resolve(), *out.resolve().parents]:
        raise InputError(f"--out {out} lies in {source}, which is only read; give another folder")


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``out`` at the end; after an error nothing is left.

    Raises:
        InputError: it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {error.strerror}") from None
    try:
        yield folder
        folder.chmod(0o755)  # mkdtemp restricts it to its owner
        os.replace(folder, out)
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_names(classes: Sequence[str]) -> list[str]:
    """A safe folder name for each class, which cannot lead out of its parent."""
    safe = [re.sub(r"[^\w .+-]", "_", name).strip(". ") for name in classes]
    if len({name.lower() for name in safe}) == len(classes) and all(safe):
        return safe
    return [f"{label:03d}_{name}" for label, name in enumerate(safe)]


def save_picture(path: Path, image: Tensor, mask: Tensor) -> None:
    """Write an image as PNG, without loss, and its mask of 0 and 255 beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    inside = (mask[0].byte() * 255).numpy()
    Image.fromarray(inside).save(path.with_name(path.stem + MASK_ENDING))


def save_groups(folder: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write ``groups.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *rows])
    write_whole(folder / GROUPS, text.getvalue())
