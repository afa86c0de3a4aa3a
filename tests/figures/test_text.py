"""No figure cuts its text off, however long the names are."""

import os

import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from sib.figures.curves import curve_figure, legend
from sib.figures.overlay import draw_map, draw_overlays
from sib.figures.picture import Lane, draw_lanes
from sib.figures.scatter import scatter_figure
from sib.figures.sheet import Picture, draw_sheet
from sib.figures.text import fitted

LONG = "American pit bull terrier, costs $5 or $6, " + "an_unbroken_name_" * 8
IMAGE = torch.zeros(3, 8, 8, dtype=torch.uint8)
MAP = torch.linspace(-1, 1, 64).reshape(8, 8)

LANE = Lane(LONG[:90], MAP.abs()[None])


def clipped(figure):
    """Texts of a figure that reach beyond its edge; ticks beside the view are not drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    left, bottom, right, top = figure.bbox.extents
    ticks = {
        text
        for axes in figure.findobj(Axes)
        for text in (*axes.get_xticklabels(), *axes.get_yticklabels())
    }
    boxes = [
        (text.get_text(), text.get_window_extent(canvas.get_renderer()).extents)
        for text in figure.findobj(Text)
        if text.get_text().strip() and text not in ticks
    ]
    assert boxes
    return [
        text
        for text, (x0, y0, x1, y1) in boxes
        if x0 < left - 1 or y0 < bottom - 1 or x1 > right + 1 or y1 > top + 1
    ]


def point(name):
    ends = {"accuracy_interval": (0.4, 0.6), "localisation_interval": None}
    return {
        "group": name,
        "name": name,
        "accuracy": 0.5,
        "localisation": 0.5,
        "even": 0.2,
        "measure": "accuracy",
        **ends,
    }


def epochs(name):
    return {"name": name, "group": name, "epochs": [{"epoch": n, "x": n} for n in (1, 2)]}


DRAWN = {
    "one map": lambda path: draw_overlays(path, IMAGE, {"vjp": MAP}, LONG, LONG),
    "a long method": lambda path: draw_overlays(path, IMAGE, {"vjp": MAP, LONG: MAP}, "a", "b"),
    "a map of one's own": lambda path: draw_map(IMAGE, MAP, path, LONG),
    "a sheet": lambda path: draw_sheet(path, LONG, [Picture(IMAGE, None, LONG)] * 2),
    "lanes": lambda path: draw_lanes(path, IMAGE[None], [None], LONG[:90], [LANE]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_files(name, tmp_path, monkeypatch):
    kept = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *a, **k: (kept.append(figure), save(figure, *a, **k))
    )
    DRAWN[name](tmp_path / "a.png")
    assert [clipped(figure) for figure in kept] == [[]]


def test_charts():
    assert clipped(scatter_figure([point(LONG), point("b"), point(LONG + "c")])) == []
    assert clipped(curve_figure([epochs(LONG)], LONG[:90], "nats", lambda e: e["x"])) == []
    assert [entry["name"] for entry in legend([epochs("a"), epochs("b"), epochs("a")])] == [
        "a",
        "b",
    ]


def test_the_check_sees_what_is_clipped():
    figure = Figure(figsize=(2, 1))
    figure.suptitle("wide " * 30)
    assert clipped(figure)


def test_text_breaks_between_words_and_inside_those_that_are_too_wide():
    assert fitted("a word", 3, 10) == "a word"
    lines = fitted(LONG, 2, 10).split("\n")
    assert len(lines) > 3 and lines[0].startswith("American pit bull")
    assert "".join(lines).replace(" ", "") == LONG.replace(" ", "")
    assert fitted("", 2, 10) == ""


def test_characters_that_the_font_lacks_have_a_width(tmp_path):
    name = "犬の写真\x00" + os.fsdecode(b"gr\xf6\xdfe") + ".png"
    assert "".join(fitted(name * 9, 2, 10).split("\n")) == name * 9
