"""Images, masks and foregrounds as targets."""

import numpy as np
import torch
from PIL import Image

from fuzz.target import Target, folder
from helpers.image_files import encoded, png_header
from sib.data.readers.decode import read_image, read_size
from sib.data.readers.masks import read_foreground
from sib.data.sample import MaskFile, MaskRule
from sib.runs import foreground_file


def read_picture(data: bytes) -> object:
    path = folder("image") / "a.png"
    path.write_bytes(data)
    size = read_size(path)
    assert read_image(path).shape == (3, *size)
    return size


def image_seeds() -> list[bytes]:
    colours = Image.fromarray(np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3))
    grey, exif = colours.convert("L"), Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.arange(30, dtype=np.uint16).reshape(6, 5) * 2000)
    found = [encoded(colours, kind, exif=exif) for kind in ("PNG", "JPEG", "WEBP", "TIFF")]
    found += [encoded(colours, kind) for kind in ("BMP", "GIF", "PPM", "JPEG2000")]
    found += [encoded(colours, "AVIF", exif=exif), encoded(deep, "JPEG2000")]
    found += [encoded(grey, kind) for kind in ("PNG", "PPM", "TIFF")]
    found += [encoded(deep, kind) for kind in ("PNG", "TIFF", "PPM")]
    found += [encoded(colours.convert("CMYK"), "JPEG"), encoded(colours.convert("RGBA"), "PNG")]
    return [*found, encoded(colours.convert("P"), "PNG", transparency=0), png_header(2**20, 2**20)]


def read_mask(data: bytes) -> object:
    path = folder("mask") / "a.png"
    path.write_bytes(data)
    rule = list(MaskRule)[len(data) % len(MaskRule)]
    found = read_foreground(MaskFile(path, rule), read_size(path))
    assert found.dtype == torch.bool and found.ndim == 3
    return found


def mask_seeds() -> list[bytes]:
    values = np.arange(30, dtype=np.uint8).reshape(6, 5) % 4
    palette = Image.fromarray(values, mode="P")
    palette.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 0, 0, 250])
    masks = [palette, Image.fromarray(values), Image.fromarray(values * 80)]
    masks += [Image.fromarray(values > 1), Image.fromarray(values.astype(np.uint16) * 20000)]
    shape = Image.fromarray(values * 80)
    clear = Image.new("RGBA", shape.size, "white")
    clear.putalpha(shape)
    masks += [clear, clear.convert("LA"), palette.convert("RGB"), shape.convert("RGB").quantize(2)]
    content = [encoded(mask, "PNG") for mask in masks]
    content += [encoded(shape, kind) for kind in ("JPEG", "TIFF", "GIF", "AVIF", "JPEG2000")]
    content += [encoded(Image.fromarray(values / np.float32(3)), "TIFF")]
    return [item + bytes(extra) for item in content for extra in range(3)]


def read_found(data: bytes) -> object:
    root = folder("foregrounds")
    (root / foreground_file.NAME).write_bytes(data)
    return foreground_file.read_foregrounds(root)


def found_seeds() -> list[bytes]:
    facts = {"format": 1, "area": 0.2, "resize": "crop", "layer": "a", "image_size": 8, "images": 2}
    root = folder("foregrounds")
    seeds = []
    for names in (["a/0.png", "b/1.png"], ["é\udcff.png"]):
        maps = torch.rand(len(names), 1, 3, 4)
        found = foreground_file.FoundForegrounds(names, maps, facts)
        foreground_file.write_foregrounds(root, found)
        seeds.append((root / foreground_file.NAME).read_bytes())
    return seeds


TARGETS = {
    "foregrounds": Target(read_found, found_seeds),
    "image": Target(read_picture, image_seeds),
    "mask": Target(read_mask, mask_seeds),
}
