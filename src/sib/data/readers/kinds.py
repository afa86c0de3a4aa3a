"""Which files are read as images, by their endings and by Pillow's formats."""

from pathlib import Path

from PIL import features

ENDINGS = {
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
}
OPTIONAL = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}
"""Formats that Pillow can be built without, and its names of the features."""
FORMATS = tuple(name for name in ENDINGS if name not in OPTIONAL or features.check(OPTIONAL[name]))
"""Pillow's names of what is read, whatever a file is called. Among its others is EPS, which is a
program that Ghostscript runs."""
IMAGE_KINDS = tuple(ending for name in FORMATS for ending in ENDINGS[name])
LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")
"""Formats that may change a value slightly."""
UNREAD_KINDS: tuple[str, ...] = (
    ".heic",
    ".heif",
    ".hif",
    ".jxl",
    ".svg",
    ".tga",
    ".eps",
    ".psd",
    ".exr",
    ".dcm",
)
UNREAD_KINDS += (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".raw")
UNREAD_KINDS += tuple(ending for name in ENDINGS if name not in FORMATS for ending in ENDINGS[name])
"""Endings of photographs that are not read; a mask beside one of them is still a mask."""
WORDS = "jpg, png, gif, bmp, webp, avif, tif, ppm and jp2"
"""The kinds of files that are read, for messages."""


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image that is read; hidden files are not."""
    return name[0] != "." and name.lower().endswith(IMAGE_KINDS)


def is_photo(name: str) -> bool:
    """Whether a file's name is that of an image, read or not."""
    return name[0] != "." and name.lower().endswith(IMAGE_KINDS + UNREAD_KINDS)


def ending_of(name: str) -> str:
    """A file's ending in small letters, or ``without ending``."""
    return Path(name).suffix.lower() or "without ending"
