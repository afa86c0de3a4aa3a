"""``sib data prepare``: download a published data set, check it, unpack it."""

import shutil
from pathlib import Path

from rich.console import Console

from sib.config.data import PrepareConfig
from sib.config.recipes import RECIPES
from sib.data.datasets.catalogue import CATALOGUE, Archive, Published
from sib.data.datasets.published import find
from sib.data.download import check, download
from sib.data.readers.unpack import Limits, unpack
from sib.utils.errors import InputError
from sib.utils.progress_bar import bytes_progress
from sib.utils.terminal import suggest


def prepare(config: PrepareConfig, console: Console) -> None:
    """Prepare one data set.

    Raises:
        InputError: it cannot be downloaded, an archive is not the published one, or the root
            cannot be written.
    """
    if config.name not in CATALOGUE:
        raise InputError(f"name must be one of {', '.join(CATALOGUE)}; got {config.name!r}")
    root = config.root.expanduser()
    try:
        prepare_set(config.name, CATALOGUE[config.name], root, console)
    except OSError as error:
        raise InputError(
            f"--root {root}: {error.filename or 'it'} cannot be written: {error.strerror}"
        ) from None


def prepare_set(name: str, published: Published, root: Path, console: Console) -> None:
    """Prepare a data set of the catalogue; an existing one stays as it is.

    Raises:
        InputError: see `prepare`.
        OSError: a file cannot be written.
    """
    if root.is_dir() and (found := find(name, root)):
        _say(console, f"{published.title} is already in {found}")
        _suggest(console, name, root)
        return
    if not published.archives:
        raise InputError(f"{published.title} cannot be downloaded: {published.advice(name, root)}")
    target = root / published.folder
    if target.exists():
        raise InputError(f"{target} exists and is not a complete {published.title}; remove it")
    root.mkdir(parents=True, exist_ok=True)
    files = [_fetch(archive, root, console) for archive in published.archives]
    _unpack_all(files, published, target, console)
    _say(console, f"{published.title} is in {target}; the archives can be removed")
    _suggest(console, name, root)


def _suggest(console: Console, name: str, root: Path) -> None:
    """The check, and a recipe where there is one."""
    recipe = next((each for each in RECIPES if each.startswith(f"{name}/")), None)
    train = ("train", "--data", name) if recipe is None else ("train", recipe)
    suggest(console, ("data", "check", name, "--root", root), (*train, "--root", root))


def _fetch(archive: Archive, root: Path, console: Console) -> Path:
    file = root / archive.file
    with bytes_progress(console, archive.file) as progress:
        if file.exists():
            digest = check(file, archive, remove=False, progress=progress)
        else:
            digest = download(archive, root, progress)
    if archive.checksum is None:
        _say(console, f"{archive.file}: no checksum is published; its sha256 is {digest}")
    return file


def _unpack_all(files: list[Path], published: Published, target: Path, console: Console) -> None:
    """Unpack into a folder beside the target and then rename it: all or nothing."""
    work = target.parent / f".{published.folder}.unpacking"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    limits = Limits(published.largest, published.most)
    try:
        for file in files:
            with bytes_progress(console, f"unpacking {file.name}") as progress:
                unpack(file, work, limits, progress)
        _gather(work, published.folder).rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _gather(work: Path, folder: str) -> Path:
    """The unpacked folder; what unpacks beside it, such as CUB's segmentations, moves into it."""
    inner = work / folder
    if not inner.is_dir():
        return work
    for path in [path for path in work.iterdir() if path != inner]:
        path.rename(inner / path.name)
    return inner


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, highlight=False, soft_wrap=True, markup=False)
