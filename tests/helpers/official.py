"""Tiny versions of the five published data sets, each in its official layout on disk.

Every ``make_…`` writes below ``root`` what the official archives hold, with as many classes as the
set really has, and returns ``root``, which is what ``open_data(NAME, root=root)`` takes. Images are
noise over a colour of their class, the foreground is a rectangle away from the border.
"""

import pickle
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.io
from PIL import Image

HEIGHT, WIDTH = 18, 24
BOX = (6, 4, 18, 13)
"""Left, top, right, bottom of the foreground, in pixels from the upper left corner."""


def make_cifar100(
    root: Path, train_per_class: int = 2, test_per_class: int = 1, *, classes: int = 100
) -> Path:
    """Write ``cifar-100-python/{train,test,meta}``, pickled as Python 2 did."""
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True, exist_ok=True)
    names = [b"thing_%d" % label for label in range(classes)]
    (folder / "meta").write_bytes(
        python2_pickle({b"fine_label_names": names, b"coarse_label_names": [b"all"]})
    )
    for split, count in (("train", train_per_class), ("test", test_per_class)):
        labels = [label for _ in range(count) for label in range(classes)]
        colours = np.stack([_colour(label) for label in labels])
        noise = np.random.default_rng(len(split)).integers(-40, 40, (len(labels), 3, 32, 32))
        pixels = (colours[:, :, None, None] + noise).clip(0, 255).astype(np.uint8)
        batch = {
            b"filenames": [b"%s_%d.png" % (split.encode(), i) for i in range(len(labels))],
            b"batch_label": b"%s batch 1 of 1" % split.encode(),
            b"fine_labels": labels,
            b"coarse_labels": [0] * len(labels),
            b"data": pixels.reshape(len(labels), 3072),
        }
        (folder / split).write_bytes(python2_pickle(batch))
    return root


def make_cub200(
    root: Path,
    train_per_class: int = 2,
    test_per_class: int = 1,
    *,
    classes: int = 200,
    segmentations: bool = True,
) -> Path:
    """Write ``CUB_200_2011`` and beside it ``segmentations``, as the two archives unpack."""
    folder = root / "CUB_200_2011"
    tables: dict[str, list[str]] = {name: [] for name in ("images", "split", "labels", "boxes")}
    names = [f"{number:03d}.Bird_{number}" for number in range(1, classes + 1)]
    for identity, (label, number, training) in enumerate(
        _places(classes, train_per_class, test_per_class), start=1
    ):
        path = f"{names[label]}/Bird_{label + 1}_{number:04d}_{identity}.jpg"
        _save_image(folder / "images" / path, label, identity)
        if segmentations:
            _save(root / "segmentations" / path.replace(".jpg", ".png"), _mask(255))
        tables["images"].append(f"{identity} {path}")
        tables["split"].append(f"{identity} {int(training)}")
        tables["labels"].append(f"{identity} {label + 1}")
        left, top, right, bottom = BOX
        tables["boxes"].append(f"{identity} {left}.0 {top}.0 {right - left}.0 {bottom - top}.0")
    _write_lines(folder / "images.txt", tables["images"])
    _write_lines(folder / "train_test_split.txt", tables["split"])
    _write_lines(folder / "image_class_labels.txt", tables["labels"])
    _write_lines(folder / "bounding_boxes.txt", tables["boxes"])
    _write_lines(folder / "classes.txt", [f"{i} {name}" for i, name in enumerate(names, start=1)])
    return root


def make_stanford_dogs(
    root: Path, train_per_class: int = 2, test_per_class: int = 1, *, classes: int = 120
) -> Path:
    """Write ``Images``, ``Annotation`` and the three lists, as the archives unpack."""
    lists: dict[bool, list[tuple[str, int]]] = {True: [], False: []}
    for label, number, training in _places(classes, train_per_class, test_per_class):
        synset = f"n{2085620 + label:08d}"
        stem = f"{synset}-Dog_{label + 1}/{synset}_{number}"
        _save_image(root / "Images" / f"{stem}.jpg", label, number)
        _write_lines(root / "Annotation" / stem, [annotation(f"{synset}_{number}", synset)])
        lists[training].append((stem, label + 1))
    for name, rows in (
        ("train_list", lists[True]),
        ("test_list", lists[False]),
        ("file_list", lists[True] + lists[False]),
    ):
        write_mat(root / "lists" / f"{name}.mat", rows)
    return root


def make_imagenet(
    root: Path,
    train_per_class: int = 2,
    test_per_class: int = 1,
    *,
    classes: int = 1000,
    boxes: bool = False,
) -> Path:
    """Write ``ILSVRC/Data/CLS-LOC/{train,val}/<wnid>`` and, where wanted, the boxes' XML files."""
    data, notes = (root / "ILSVRC" / kind / "CLS-LOC" for kind in ("Data", "Annotations"))
    for label, number, training in _places(classes, train_per_class, test_per_class):
        synset = f"n{1440764 + label:08d}"
        name = f"{synset}_{number}" if training else f"ILSVRC2012_val_{label * 1000 + number:08d}"
        _save_image(
            data / ("train" if training else "val") / synset / f"{name}.JPEG", label, number
        )
        if boxes:
            folder = notes / "train" / synset if training else notes / "val"
            _write_lines(folder / f"{name}.xml", [annotation(name, synset)])
    return root


def make_oxford_pet(
    root: Path, train_per_class: int = 2, test_per_class: int = 1, *, classes: int = 37
) -> Path:
    """Write ``oxford-iiit-pet/images`` and ``oxford-iiit-pet/annotations``."""
    folder = root / "oxford-iiit-pet"
    lists: dict[bool, list[str]] = {True: [], False: []}
    for label, number, training in _places(classes, train_per_class, test_per_class):
        name = f"{'Cat' if label % 3 == 0 else 'dog'}_breed_{label + 1}_{number}"
        _save_image(folder / "images" / f"{name}.jpg", label, number)
        _save(folder / "annotations" / "trimaps" / f"{name}.png", _trimap())
        lists[training].append(f"{name} {label + 1} {1 if label % 3 == 0 else 2} {label // 3 + 1}")
    _write_lines(folder / "annotations" / "trainval.txt", lists[True])
    _write_lines(folder / "annotations" / "test.txt", lists[False])
    return root


MAKERS = {
    "cifar100": make_cifar100,
    "cub200": make_cub200,
    "stanford_dogs": make_stanford_dogs,
    "imagenet": make_imagenet,
    "oxford_pet": make_oxford_pet,
}


def annotation(
    name: str, synset: str, boxes: tuple[tuple[int, int, int, int], ...] = (BOX,)
) -> str:
    """A PASCAL VOC annotation as Stanford Dogs and ImageNet have it; boxes are left, top, right,
    bottom."""
    objects = "".join(
        f"<object><name>{synset}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for left, top, right, bottom in boxes
    )
    return (
        f"<annotation><folder>{synset}</folder><filename>{name}</filename>"
        "<source><database>ImageNet database</database></source>"
        f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        f"<segmented>0</segmented>{objects}</annotation>"
    )


def write_mat(path: Path, rows: list[tuple[str, int]]) -> None:
    """Write a list of Stanford Dogs: (``<class>/<stem>``, label from 1) for each image."""
    cells = np.empty((len(rows), 1), object)
    cells[:, 0] = [f"{stem}.jpg" for stem, _ in rows]
    stems = np.empty((len(rows), 1), object)
    stems[:, 0] = [stem for stem, _ in rows]
    labels = np.array([[label] for _, label in rows], np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {"file_list": cells, "annotation_list": stems, "labels": labels})


def python2_pickle(value: object) -> bytes:
    """Pickle as Python 2 did: every string a byte string, numpy's modules under their old names."""
    stream = BytesIO()
    _Python2Pickler(stream, protocol=2).dump(value)
    return stream.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


class _Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]
    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def _save_string(self, value: bytes | str) -> None:
        encoded = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(pickle.BINSTRING + len(encoded).to_bytes(4, "little") + encoded)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = _save_string


def _places(classes: int, train: int, test: int) -> Iterator[tuple[int, int, bool]]:
    """Label, number within the class from 1, and whether it is for training."""
    for label in range(classes):
        for number in range(1, train + test + 1):
            yield label, number, number <= train


def _colour(label: int) -> np.ndarray:
    return np.random.default_rng(label).integers(40, 216, 3)


def _save_image(path: Path, label: int, number: int) -> None:
    noise = np.random.default_rng((label, number)).integers(-40, 40, (HEIGHT, WIDTH, 3))
    left, top, right, bottom = BOX
    noise[top:bottom, left:right] += 60
    _save(path, (_colour(label) + noise).clip(0, 255).astype(np.uint8))


def _mask(value: int) -> np.ndarray:
    left, top, right, bottom = BOX
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:bottom, left:right] = value
    return mask


def _trimap() -> np.ndarray:
    """1 inside the rectangle, 3 on its outline, 2 elsewhere; the outline belongs to the box."""
    left, top, right, bottom = BOX
    trimap = np.full((HEIGHT, WIDTH), 2, np.uint8)
    trimap[top:bottom, left:right] = 3
    trimap[top + 1 : bottom - 1, left + 1 : right - 1] = 1
    return trimap


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # the formats' own ending .JPEG of ImageNet is one that Pillow knows as well
    Image.fromarray(pixels).save(path)


def _write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
