"""Foregrounds from a table of boxes."""

import numpy as np
import pytest

from helpers.annotated import BOX, EXPECTED, NAMES, check_all, foregrounds, opened, write
from sib.utils.errors import InputError


class TestTable:
    @pytest.mark.parametrize(
        ("header", "row"),
        [
            ("image,x,y,width,height", "12,8,16,12"),
            ("Image, X, Y, Width, Height, label", "12,8,16,12,cat"),
            ("image;x;y;width;height", "12;8;16;12"),
            ("image,xmin,ymin,xmax,ymax", "12,8,28,20"),
            ("filename,width,height,class,xmin,ymin,xmax,ymax", "40,30,cat,12,8,28,20"),
            ("filename,width,height,class,xmin,ymin,xmax,ymax", "80,60,cat,24,16,56,40"),
        ],
    )
    def test_columns(self, header, row, folder, tmp_path):
        mark = ";" if ";" in header else ","
        lines = [header, *(f"{name}{mark}{row}" for name in NAMES)]
        splits = opened(folder, write(tmp_path / "a.csv", "\r\n".join(lines) + "\r\n\r\n"))
        assert all(np.array_equal(mask, EXPECTED) for mask in foregrounds(splits).values())

    def test_rows_of_one_image_are_united(self, folder, tmp_path):
        lines = ["image\tx\ty\twidth\theight"]
        lines += [f"{n}\t{x}\t8\t8\t12" for n in NAMES for x in (12, 20)]
        check_all(folder, write(tmp_path / "a.tsv", "\n".join(lines)), "CSV of boxes")

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("image,x,y\na,1,2\n", "needs the columns x, y, width, height or xmin"),
            ("image,x,y,width,height,xmin,ymin,xmax,ymax\n", "keep one of them"),
            ("image_id,width,height,bbox\na,4,4,'[1, 2, 3, 4]'\n", "divide it into four columns"),
            ("ImageId,PredictionString\na,1 0.9 5 5 9 9\n", "with a row for each box"),
            ("filename,region_shape_attributes\na,{}\n", "VIA's own CSV"),
            ("image,id,label,annotation_id\na,1,[],1\n", "Label Studio's own CSV"),
            ("ImageId,EncodedPixels\na,1 3\n", "give masks as images"),
            ("image,cx,cy,w,h\na,4,4,2,2\n", "xmin is the centre minus half the width"),
            ("image,x,x,y,width,height\n", "names a column twice"),
            ("name,x,y,width,height\n", "holds no annotations that can be read"),
            ("image,x,y,width,height\ncat/0.png,1,2,3\n", "line 2: 5 columns are needed; got 4"),
            ("image,x,y,width,height\ncat/0.png,1,2,3,b\n", "line 2: height must be a number"),
            ("image,x,y,width,height\n,1,2,3,4\n", "line 2: the image must be a name"),
            ("image,xmin,ymin,xmax,ymax\ncat/0.png,5,2,3,4\n", "got -2 × 2"),
            ("", "holds no annotations that can be read"),
        ],
    )
    def test_wrong_tables_are_refused(self, text, sentence, folder, tmp_path):
        with pytest.raises(InputError, match=r"a\.csv") as error:
            opened(folder, write(tmp_path / "a.csv", text))
        assert sentence in str(error.value)

    def test_fractions_give_no_foreground_and_are_refused(self, folder, tmp_path):
        path = write(tmp_path / "a.csv", "image,xmin,ymin,xmax,ymax\ncat/0.png,0.1,0.2,0.4,0.4\n")
        with pytest.raises(InputError, match="lie between 0 and 1, as fractions of"):
            opened(folder, path)


@pytest.mark.parametrize(
    "header",
    [
        "image_name,x1,y1,x2,y2",
        "Path,Left,Top,Right,Bottom",
        "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,file",
        "image_id,x,y,w,h",
        "file_name,bbox_x,bbox_y,bbox_width,bbox_height",
    ],
)
def test_columns_under_the_names_of_other_tools(folder, tmp_path, header):
    edges, extent = (12, 8, 28, 20), BOX
    columns = header.lower().split(",")
    values = edges if {"x2", "right", "roi.x2"} & set(columns) else extent
    lines = [header]
    for name in NAMES:
        rest = iter(values)
        row = {"width": 40, "height": 30, "classid": 3}
        image = ("image_name", "path", "file", "image_id", "file_name")
        lines.append(
            ",".join(
                str(name if c in image else row[c] if c in row else next(rest)) for c in columns
            )
        )
    check_all(folder, write(tmp_path / "boxes.csv", "\n".join(lines)), "CSV of boxes")
