"""Annotation formats as targets."""

import base64
import json
from functools import cache, partial

import numpy as np
from PIL import Image

from fuzz.target import Target, folder
from helpers.image_files import encoded
from helpers.pictures import save as save_picture
from helpers.pictures import square_pixels
from sib.data.annotate import annotate
from sib.data.annotation_notes import sentences
from sib.data.layout import Layout
from sib.data.readers.annotations import read_annotations
from sib.data.readers.masks import read_foreground
from sib.data.sample import Record


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


def read_keypoints(data: bytes) -> object:
    """Read YOLO's boxes and keypoints beside the YAML file of their data set."""
    place = folder("keypoints")
    (place / "solo.txt").write_text("0 0.5 0.5 0.25 0.25 0.4 0.4 0.5 0.5\n")
    (place / "data.yaml").write_bytes(data)
    return read_annotations(place)


def keypoints_seeds() -> list[bytes]:
    return [
        b"kpt_shape: [2, 2]\nnames: {0: cat}\n",
        b"train: images/train\nkpt_shape:\n- 17\n- 3\nnc: 1\n",
        b"names: [cat, dog]\nnc: 2\n",
    ]


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


TARGETS = {
    "coco": Target(partial(read_annotation, "a.json"), coco_seeds),
    "labelme": Target(partial(read_annotation, "b.json"), labelme_seeds),
    "voc": Target(partial(read_annotation, "a.xml"), voc_seeds),
    "yolo": Target(partial(read_annotation, "solo.txt"), yolo_seeds),
    "keypoints": Target(read_keypoints, keypoints_seeds),
    "table": Target(partial(read_annotation, "a.csv"), table_seeds),
}
