"""Tables that list the images and labels of a data set, as targets."""

from functools import partial

from fuzz.target import BREAK, Target, folder, write
from helpers.pictures import save_classes, save_leeds
from sib.data.datasets import cub, leeds
from sib.data.groups import read_groups
from sib.data.identity import ImageRow, class_names, read_rows, to_csv
from sib.data.readers.label_table import read_label_table
from sib.evaluation.classes import names_in

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


TARGETS = {
    "groups": Target(read_group_table, group_seeds),
    "labels": Target(read_labels, label_seeds),
    "classes": Target(partial(read_class_names, "json"), class_seeds),
    "cub": Target(read_cub, cub_seeds),
    "leeds": Target(read_leeds, leeds_seeds),
    "images": Target(read_table_of_images, images_seeds),
}
