"""Annotation formats as targets."""

import base64
import json
from functools import cache, partial

import numpy as np
from PIL import Image

from fuzz.target import Target, folder
from helpers.annotated import pack_brush
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
    objects += [{"bbox": [1, 2, 3, 2.5], "attributes": {"rotation": 30.0}}]
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
    turned = b"<robndbox><cx>2</cx><cy>3</cy><w>2</w><h>3</h><angle>0.5</angle></robndbox>"
    value = (
        b"<attributes><attribute><name>rotation</name><value>30</value></attribute></attributes>"
    )
    objects = [(body, box) for body in bodies] + [(named, turned), (named, box + value)]
    return [b"<annotation>%s<object>%s</object></annotation>" % pair for pair in objects]


def cvat_seeds() -> list[bytes]:
    shapes = [
        b'<box label="x" xtl="1" ytl="2" xbr="4" ybr="5" rotation="30"/>',
        b'<polygon label="x" points="0,0;4,0.5;2,5"/>',
        b'<ellipse label="x" cx="2" cy="3" rx="2" ry="1" rotation="10"/>',
        b'<mask label="x" rle="1, 4, 1" left="1" top="2" width="2" height="3"/>',
        b'<points label="x" points="1,1"/>',
    ]
    image = b'<annotations><image name="dog/solo.png" width="5" height="6">%s</image></annotations>'
    return [image % each for each in (b"".join(shapes), *shapes)]


def label_studio_seeds() -> list[bytes]:
    values = [
        {"x": 20, "y": 20, "width": 40, "height": 50, "rotation": 30, "rectanglelabels": ["x"]},
        {"x": 50, "y": 50, "radiusX": 20, "radiusY": 30, "rotation": 10},
        {"points": [[0, 0], [90, 5], [40, 80]], "polygonlabels": ["x"]},
        {"choices": ["x"]},
        {"format": "rle", "rle": pack_brush([0, 9, 9, 255] * 10 + [0] * 80), "brushlabels": ["x"]},
    ]
    own = {"original_width": 5, "original_height": 6, "image_rotation": 0}
    long = {"annotations": [{"result": [own | {"value": value} for value in values]}]}
    short = {"image": "dog/solo.png", "annotation_id": 1, "x": [own | value for value in values]}
    contents = [[long | {"data": {"image": "dog/solo.png"}}], [short]]
    return [json.dumps(each).encode() for each in contents]


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
    "label_studio": Target(partial(read_annotation, "c.json"), label_studio_seeds),
    "cvat": Target(partial(read_annotation, "b.xml"), cvat_seeds),
    "voc": Target(partial(read_annotation, "a.xml"), voc_seeds),
    "yolo": Target(partial(read_annotation, "solo.txt"), yolo_seeds),
    "keypoints": Target(read_keypoints, keypoints_seeds),
    "table": Target(partial(read_annotation, "a.csv"), table_seeds),
}
