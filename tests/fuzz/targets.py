"""Readers of files from strangers, each as a function of bytes, with inputs to start from.

A target may raise InputError; anything else is a crash.
"""

import base64
import io
import json
import lzma
import struct
import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import save

from helpers.pictures import save as save_picture
from helpers.pictures import save_classes, save_leeds, square_pixels
from sib.config.stored import as_dict
from sib.config.yaml_options import expand_config
from sib.data.annotate import annotate, sentences
from sib.data.datasets import cub, leeds
from sib.data.groups import read_groups
from sib.data.identity import ImageRow, class_names, read_rows, to_csv
from sib.data.layout import Layout
from sib.data.readers.decode import read_image, read_size
from sib.data.readers.label_table import read_label_table
from sib.data.readers.masks import read_foreground
from sib.data.sample import MaskFile, MaskRule, Record
from sib.evaluation.classes import names_in
from sib.evaluation.scores import FACTS, read_scores
from sib.models.weights import read_weights
from sib.runs import foreground_file
from sib.runs.archive import read_archive, write_archive
from sib.runs.folder import RunFolder
from sib.runs.reader import read_run
from sib.runs.state_file import STATE
from sib.training import TrainConfig
from sib.utils.errors import InputError

BREAK = b"\n====\n"
"""Stands between the files of an input that holds several."""


class Target(NamedTuple):
    """A reader, and inputs that it can read."""

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


def run(name: str, data: bytes) -> bool:
    """Whether a target could read an input; raises what is no InputError."""
    try:
        TARGETS[name].read(data)
    except InputError:
        return False
    return True


@cache
def folder(name: str) -> Path:
    """A folder of its own for a target; small, and on tmpfs where the system has it there."""
    return Path(mkdtemp(prefix=f"sib-fuzz-{name}-"))


def write(root: Path, names: tuple[str, ...], data: bytes) -> None:
    """Write the parts of an input as files; a part that is not there is no file."""
    parts = data.split(BREAK, len(names) - 1)
    for index, name in enumerate(names):
        (root / name).unlink(missing_ok=True)
        if index < len(parts):
            (root / name).write_bytes(parts[index])


CUB_TABLES = (*cub.FILES, "bounding_boxes.txt", "classes.txt")


def read_cub(data: bytes) -> object:
    root = folder("cub")
    if not (root / "images").is_dir():
        save_classes(root / "images", count=2)
    write(root, CUB_TABLES, data)
    return cub.read(root, None)


def cub_seeds() -> list[bytes]:
    paths = b"1 cat/0.png\n2 cat/1.png\n3 dog/0.png\n4 dog/1.png\n"
    split, labels = b"1 1\n2 0\n3 1\n4 0\n", b"1 1\n2 1\n3 2\n4 2\n"
    boxes = b"".join(b"%d 1.0 2.0 10.5 9.0\n" % number for number in range(1, 5))
    tables = [paths, split, labels, boxes, b"1 a cat\n2 dog\n"]
    odd = [b"1 ../cat/0.png\n2 /etc/passwd\n3 .\n4 dog/1.png\n", split, labels]
    return [BREAK.join(tables[:count]) for count in (3, 4, 5)] + [BREAK.join(odd)]


def read_leeds(data: bytes) -> object:
    root = folder("leeds")
    if not (root / "images").is_dir():
        save_leeds(root, count=2)
    write(root, leeds.SPLITS, data)
    return leeds.read(root, None)


def leeds_seeds() -> list[bytes]:
    return [b"cat/0\ndog/0\n" + BREAK + b"cat/1\ndog/1\n", b"\xef\xbb\xbfcat/0\r\n" + BREAK]


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


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A grey PNG that says how large it is, and ends in the middle of its pixels."""
    facts = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", facts), (b"IDAT", zlib.compress(bytes(1000))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


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


def read_table_of_images(data: bytes) -> object:
    path = folder("images") / "images.csv"
    path.write_bytes(data)
    rows = read_rows(path)
    assert rows and len(class_names(rows)) > max(row.label for row in rows)
    assert to_csv(rows)
    return rows


def images_seeds() -> list[bytes]:
    rows = [
        ImageRow(split, label, f"class, {label}", "ab" * 16, f"{split}/{label}.png")
        for split in ("train", "test")
        for label in (0, 1)
    ]
    return [to_csv(rows).encode(), to_csv(rows[:1]).encode()]


def read_options(data: bytes) -> object:
    path = folder("yaml") / "options.yaml"
    path.write_bytes(data)
    return expand_config(TrainConfig, ["--config", str(path)])


def yaml_seeds() -> list[bytes]:
    whole = as_dict(TrainConfig(data="digits"))
    return [
        yaml.safe_dump(whole).encode(),
        b"recipe: cub200/resnet50\nepochs: 3\nobjective:\n  slope: 3.5\n  projection-dim: null\n",
        b"objective.window-size: 7\ninput: {augment: flip, cache: 'off'}\nresume: no\n",
        b"a: &a [1, 2]\nb: *a\n? [x]\n: 2001-12-14\n<<: {epochs: 2}\n!!set {}\n",
    ]


RUN_FILES = ("config.yaml", "environment.json", "metrics.jsonl", "result.json")


def read_folder(data: bytes) -> object:
    root = folder("run")
    write(root, RUN_FILES, data)
    found = read_run(root)
    assert all(isinstance(record, dict) for record in found.epochs)
    return found


def run_seeds() -> list[bytes]:
    config = yaml.safe_dump(as_dict(TrainConfig(data="digits"))).encode()
    environment = b'{"versions": {"format": "1"}, "data": {"name": "digits", "images": 3}}'
    lines = b'{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "loss": null}\n{"epo'
    result = b'{"best_epoch": 1, "test": {"accuracy": 0.5}}'
    return [BREAK.join([config, environment, lines, result][:count]) for count in (1, 2, 3, 4)]


def read_table(data: bytes) -> object:
    path = folder("scores") / "evaluation.csv"
    path.write_bytes(data)
    found = read_scores(path)
    assert found.values.shape == (len(found.names), len(found.columns))
    return found


def scores_seeds() -> list[bytes]:
    header = ",".join([*FACTS, "vjp/sparseness", "gradcam/pointing_game"])
    rows = ["a.png,0,1,0.75,0,,0.5,", '"b, c.png",1,1,1e-3,1,0.25,nan,1.0']
    return ["\n".join([header, *rows, ""]).encode(), ",".join(FACTS).encode() + b"\na,0,0,1,1,\n"]


def read_any_weights(data: bytes) -> object:
    of_torch = data[:1] in (b"P", b"\x80")  # a zip archive or a bare pickle
    path = folder("weights") / f"weights{'.pt' if of_torch else '.safetensors'}"
    path.write_bytes(data)
    return read_weights(path)


def weights_seeds() -> list[bytes]:
    state = {"module.fc.weight": torch.arange(6.0).reshape(2, 3), "fc.bias": torch.zeros(2)}
    facts = {"sib": json.dumps({"arch": "small_resnet", "classes": ["a", "b"]})}
    old = io.BytesIO()
    torch.save(state, old, _use_new_zipfile_serialization=False)
    return [save(state), save(state, facts), saved(state), saved({"model": state}), old.getvalue()]


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def read_resume(data: bytes) -> object:
    root = folder("resume")
    write(root, ("config.yaml", "state.pt"), data)
    run_folder, config = RunFolder(root), TrainConfig(data="digits", out=root, arch="small_resnet")
    state = run_folder.load_state()
    return run_folder.check_same(config, state)


def resume_seeds() -> list[bytes]:
    config = TrainConfig(data="digits", out=folder("resume"), arch="small_resnet")
    options = yaml.safe_dump(as_dict(config)).encode()
    state = dict.fromkeys(STATE, torch.zeros(4)) | {"epoch": 2, "step": 9, "best": {"epoch": 1}}
    return [options, options + BREAK + saved(state), options + BREAK + saved([1])]


def read_records(data: bytes) -> object:
    path = folder("archive") / "study.tar.xz"
    path.write_bytes(data)
    return list(read_archive(path))


def archive_seeds() -> list[bytes]:
    path = folder("archive") / "study.tar.xz"
    write_archive(path, {"study.json": b"{}", "runs/ce-0/config.yaml": b"data: x" * 99})
    whole = path.read_bytes()
    plain = lzma.decompress(whole)  # without a checksum of the whole, mutations get further
    return [whole, lzma.compress(plain, check=lzma.CHECK_NONE), lzma.compress(plain[:1024])]


@cache
def pictures() -> Layout:
    """Three images of 6 × 5 pixels."""
    root, names = folder("pictures"), ("cat/1.png", "dog/1.png", "dog/solo.png")
    paths = [save_picture(root / name, square_pixels(6, 5)) for name in names]
    records = [
        Record(path, int(name[:3] == "dog"), None, name)
        for path, name in zip(paths, names, strict=True)
    ]
    return Layout("classes", ["cat", "dog"], records, None, None)


def read_annotation(name: str, data: bytes) -> object:
    """Read annotations, give them to images and draw them."""
    path = folder(name) / name
    path.write_bytes(data)
    found = annotate(pictures(), path.parent if path.suffix == ".txt" else path)
    assert sentences(found.notes)
    for record in found.train:
        if record.foreground is not None:
            assert read_foreground(record.foreground, (6, 5)).shape == (1, 6, 5)
    return found


def coco_seeds() -> list[bytes]:
    image = {"id": 1, "file_name": "dog/solo.png", "height": 6, "width": 5}
    run_lengths = [{"counts": [4, 6, 20], "size": [6, 5]}, {"counts": "46d0", "size": [6, 5]}]
    objects = [{"bbox": [1, 2, 3, 2.5]}, {"segmentation": [[0, 0, 4, 0, 0, 4], [1, 1, 3, 1, 2, 5]]}]
    objects += [{"segmentation": each} for each in run_lengths]
    whole = [objects, *([each] for each in objects)]
    contents = [
        {"images": [image], "annotations": [{"image_id": 1, **each} for each in entries]}
        for entries in whole
    ]
    return [json.dumps(content).encode() for content in contents]


def voc_seeds() -> list[bytes]:
    box = b"<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>4</xmax><ymax>5</ymax></bndbox>"
    size = b"<size><width>5</width><height>6</height><depth>3</depth></size>"
    named = b"<filename>dog/solo.png</filename>"
    bodies = (named + size, size, b"")
    return [b"<annotation>%s<object>%s</object></annotation>" % (body, box) for body in bodies]


def yolo_seeds() -> list[bytes]:
    box, outline = b"0 0.5 0.5 0.25 0.25\n", b"12 0.1 0.1 0.9 0.1 0.5 0.9\n"
    return [box, outline, box + b"\r\n" + outline, b"3 0.5 0.5 1 1 0.87\n", b""]


def labelme_seeds() -> list[bytes]:
    mask = base64.b64encode(encoded(Image.fromarray(np.ones((2, 3), bool)), "PNG")).decode()
    shapes = [
        {"shape_type": "polygon", "points": [[0, 0], [4, 0.5], [2, 5]]},
        {"shape_type": "rectangle", "points": [[4, 5], [1, 2]]},
        {"shape_type": "circle", "points": [[2, 2], [3, 3]]},
        {"shape_type": "point", "points": [[2, 2]]},
        {"shape_type": "mask", "points": [[1, 1], [3, 2]], "mask": mask},
    ]
    facts = {"imagePath": "..\\dog\\solo.png", "imageHeight": 6, "imageWidth": 5}
    return [
        json.dumps(facts | {"shapes": each}).encode()
        for each in (shapes, *([shape] for shape in shapes))
    ]


def table_seeds() -> list[bytes]:
    return [
        b"image,x,y,width,height\ncat/1.png,1,2,3,2.5\n",
        b'filename,width,height,class,xmin,ymin,xmax,ymax\r\n"solo.png",5,6,dog,1,2,4,5\r\n',
        b"Image;x;y;width;height\nsolo.png;1;2;3;4\n",
    ]


def read_group_table(data: bytes) -> object:
    path = folder("groups") / "groups.csv"
    path.write_bytes(data)
    return read_groups(path, ["cat/1.png", "dog/1.png"])


def read_labels(data: bytes) -> object:
    path = folder("labels") / "labels.csv"
    path.write_bytes(data)
    return read_label_table(path)


def label_seeds() -> list[bytes]:
    listed = b"image,labels\ncat/1.png,cat;dog\ndog/1.png,\n"
    columns = b"image,cat,dog\ncat/1.png,1,0\ndog/1.png,0,1\n"
    return [listed, listed.replace(b";", b"|"), columns, b"filename\tlabels\nsolo.png\ta b\n"]


def read_class_names(kind: str, data: bytes) -> object:
    path = folder("classes") / f"classes.{kind}"
    path.write_bytes(data)
    return names_in(path)


def class_seeds() -> list[bytes]:
    return [b"cat\ndog\n", b'["cat", "dog"]', b'{"0": ["n01", "cat"], "1": "d"}', b'{"a": 0}']


def group_seeds() -> list[bytes]:
    rows = b"image,group\ncat/1.png,a\ndog/1.png,b c\n"
    return [rows, rows.replace(b",", b"\t"), b"group,image\na,dog/1.png\na,cat/1.png\na,x\n"]


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
    "coco": Target(partial(read_annotation, "a.json"), coco_seeds),
    "labelme": Target(partial(read_annotation, "b.json"), labelme_seeds),
    "voc": Target(partial(read_annotation, "a.xml"), voc_seeds),
    "yolo": Target(partial(read_annotation, "solo.txt"), yolo_seeds),
    "table": Target(partial(read_annotation, "a.csv"), table_seeds),
    "groups": Target(read_group_table, group_seeds),
    "labels": Target(read_labels, label_seeds),
    "classes": Target(partial(read_class_names, "json"), class_seeds),
    "archive": Target(read_records, archive_seeds),
    "cub": Target(read_cub, cub_seeds),
    "leeds": Target(read_leeds, leeds_seeds),
    "image": Target(read_picture, image_seeds),
    "mask": Target(read_mask, mask_seeds),
    "yaml": Target(read_options, yaml_seeds),
    "run": Target(read_folder, run_seeds),
    "images": Target(read_table_of_images, images_seeds),
    "scores": Target(read_table, scores_seeds),
    "weights": Target(read_any_weights, weights_seeds),
    "resume": Target(read_resume, resume_seeds),
}
