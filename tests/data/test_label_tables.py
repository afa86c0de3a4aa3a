"""Tables of labels as Excel and pandas write them."""

import pytest

from sib.data.readers.label_table import read_label_table
from sib.utils.errors import InputError

ROWS = [("0.png", 1, 0), ("1.png", 0, 1), ("2.png", 1, 1)]
PLAIN = "image,a,b\n" + "".join(f"{name},{one},{two}\n" for name, one, two in ROWS)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "sep=,\n" + PLAIN,
        "sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n"),
        "SEP=\t\n" + PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", ",\n"),
        PLAIN.replace("\n", ",,\n"),
        ",image,a,b\n" + "".join(f"{k},{n},{x},{y}\n" for k, (n, x, y) in enumerate(ROWS)),
    ],
)
def test_the_same_table(text, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(text, newline="")
    table = read_label_table(path)
    assert table.classes == ["a", "b"]
    assert [(row.image, row.labels) for row in table.rows] == [
        ("0.png", (0,)),
        ("1.png", (1,)),
        ("2.png", (0, 1)),
    ]


@pytest.mark.parametrize("unknown", ["", "-1", "nan", "?"])
def test_unknown_labels_are_named(unknown, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(PLAIN.replace(",0", f",{unknown}"))
    with pytest.raises(
        InputError, match=rf"line 2: b must be 0 or 1; got '{unknown}'".replace("?", r"\?")
    ):
        read_label_table(path)


def test_the_line_below_the_mark_of_excel_is_the_second(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("sep=,\n" + PLAIN + "3.png,2,0\n")
    with pytest.raises(InputError, match="line 6: a must be 0 or 1; got '2'"):
        read_label_table(path)
