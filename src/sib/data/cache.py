"""Decode, resize and crop images once, and keep them on disk."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np

from sib.config.choices import Resize
from sib.data.cache_files import CacheRefused, build_once, is_whole
from sib.data.cached_source import ARRAYS, CachedSource
from sib.data.loader import Loader, make_loader
from sib.data.sample import BadSample, Batch, Sample
from sib.data.source import Source
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, height_width, plain_size, size_in_words

FORMAT = 2
PACKAGES = ("pillow", "torch", "torchvision")
"""What decodes and resizes; another version may give different pixels."""
BUILD_BATCH = 32


@runtime_checkable
class OnDisk(Protocol):
    """A source that can tell, without reading its images, whether they have changed."""

    def fingerprints(self) -> list[str]:
        """For each image, a line that changes when one of its files does."""
        ...


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/sib``, or ``~/.cache/sib``.

    Raises:
        CacheRefused: this user has no home folder.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # which the specification wants to be ignored
        base = Path(os.path.expanduser("~/.cache"))
    if not base.is_absolute():
        raise CacheRefused("this user has no home folder, and XDG_CACHE_HOME is not set")
    return base / "sib"


def cache_sources(
    sources: dict[str, Source],
    image_size: ImageSize,
    folder: Path,
    *,
    resize: Resize = "crop",
    largest_share: float = 1.0,
    workers: int = 0,
    info: Callable[[str], object] = lambda sentence: None,
    track: Callable[[Loader], Iterable[Any]] = iter,
) -> dict[str, Source]:
    """Keep the sources' images, resized and cropped once, on disk.

    They share one cache, which does not depend on how the images are split:
    ``FOLDER/KEY/images.npy`` uint8 (N, 3, H, W), ``foreground.npy`` the bits of (N, H, W),
    ``annotated.npy`` bool (N,), ``cache.json``. KEY is the SHA-256 of the format, the size, the
    versions of the decoders, and each file's name, size and modification times. One process builds,
    and a half-built cache is never read. It can be deleted when no run uses it.

    Args:
        sources: sources by split; those without ``fingerprints`` stay as they are.
        image_size: side in pixels, or height H and width W.
        folder: folder of the caches; created if missing.
        resize: how images are brought to that size; see `JointTransform`.
        largest_share: share of the free space that a new cache may take, in (0, 1].
        workers: processes that read images.
        info: called with a sentence about what was found or built, or about waiting.
        track: passes on the batches of a new cache, and may show the progress.

    Returns:
        Sources of (3, H, W) images, which `JointTransform` may only flip.

    Raises:
        CacheRefused: the folder cannot be written, or lacks the space.
        InputError: an image cannot be read.
    """
    lines = {
        name: source.fingerprints()
        for name, source in sources.items()
        if isinstance(source, OnDisk) and len(source)
    }
    pairs = ((line, (name, index)) for name in lines for index, line in enumerate(lines[name]))
    places = dict(sorted(pairs))
    if not places:
        return dict(sources)
    images = [(sources[name], index) for name, index in places.values()]
    facts = {"format": FORMAT, "images": len(images), "image_size": plain_size(image_size)}
    path = folder / _key(places, image_size, resize)
    words = f"{len(images)} images at {size_in_words(image_size)}"
    words += f", {readable(bytes_of(len(images), image_size))}, in {path}"

    def write(part: Path) -> None:
        _check_space(folder, bytes_of(len(images), image_size), largest_share)
        info(f"cache: resizing once {words}")
        loader = make_loader(
            ImageList(images),
            image_size=image_size,
            resize=resize,
            batch_size=BUILD_BATCH,
            train=False,
            workers=workers,
        )
        _write_arrays(part, len(images), image_size, track(loader))

    if is_whole(path, facts) or not build_once(path, facts, write, info):
        info(f"cache: found {words}")
    rows = {line: row for row, line in enumerate(places)}
    return sources | {
        name: CachedSource(sources[name], path, [rows[line] for line in lines[name]], image_size)
        for name in lines
    }


class ImageList:
    """Images of several sources as one source, to read them once."""

    annotated = True

    def __init__(self, images: Sequence[tuple[Source, int]]) -> None:
        self.images = images
        self.names = [source.names[index] for source, index in images]
        self.labels = [source.labels[index] for source, index in images]
        self.classes = images[0][0].classes

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        """As the source gives it."""
        source, place = self.images[index]
        return source[place]


def bytes_of(count: int, image_size: ImageSize) -> int:
    """Size of a cache."""
    height, width = height_width(image_size)
    return count * (3 * height * width + _mask_bytes(image_size) + 1)


def readable(size: int) -> str:
    """Bytes as text."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _mask_bytes(image_size: ImageSize) -> int:
    height, width = height_width(image_size)
    return -(-(height * width) // 8)


def _key(lines: Iterable[str], image_size: ImageSize, resize: Resize) -> str:
    versions = {package: version(package) for package in PACKAGES}
    facts = {"format": FORMAT, "image_size": plain_size(image_size), "resize": resize}
    header = json.dumps(facts | versions)
    text = "".join(f"{line}\n" for line in (header, *lines))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _check_space(folder: Path, size: int, largest_share: float) -> None:
    free = shutil.disk_usage(folder).free
    if size > largest_share * free:
        share = "" if largest_share == 1 else f", of which {largest_share:.0%} may be used"
        raise CacheRefused(
            f"{folder} lacks the space: the images take {readable(size)}, and {readable(free)} are "
            f"free{share}"
        )


def _write_arrays(part: Path, count: int, image_size: ImageSize, batches: Iterable[Any]) -> None:
    """By plain writing, because writing to mapped memory on a full disk kills the process."""
    shapes = [(count, 3, *height_width(image_size)), (count, _mask_bytes(image_size)), (count,)]
    files = [open(part / f"{name}.npy", "wb") for name in ARRAYS]  # noqa: SIM115
    try:
        for file, shape, kind in zip(files, shapes, ("u1", "u1", "?"), strict=True):
            _write_header(file, shape, kind)
        for batch in _good(batches):
            bits = np.packbits(batch.foreground.flatten(1).numpy(), axis=1)
            for file, rows in zip(files, (batch.images, bits, batch.annotated), strict=True):
                file.write(np.asarray(rows).tobytes())
    finally:
        for file in files:
            file.close()


def _write_header(file: IO[bytes], shape: tuple[int, ...], kind: str) -> None:
    descr = np.lib.format.dtype_to_descr(np.dtype(kind))
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _good(batches: Iterable[Any]) -> Iterator[Batch]:
    for batch in batches:
        if isinstance(batch, BadSample):
            raise InputError(batch.message)
        yield batch
