"""Polygons and run lengths: by hand, against a slow reference, and against pycocotools."""

import numpy as np
import pycocotools.mask as oracle
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sib.data.readers.annotations.rle import decompress, read_runs
from sib.data.readers.masks import draw_boxes
from sib.data.sample import Box
from sib.data.shapes import (
    Runs,
    draw_bitmap,
    draw_polygon,
    draw_runs,
    pack_bitmap,
    signed_area,
)
from sib.utils.errors import InputError

coordinate = st.floats(-3, 12, allow_nan=False)
points = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=9)
masks = st.integers(1, 9).flatmap(
    lambda width: st.lists(
        st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=9
    )
)


def drawn(corners, size):
    return ["".join(".#"[pixel] for pixel in row) for row in draw_polygon(corners, size).tolist()]


class TestPolygon:
    def test_a_triangle_by_hand(self):
        # the centres (x + .5, y + .5) with x + y + 1 < 4
        assert drawn([(0, 0), (4, 0), (0, 4)], (4, 5)) == ["###..", "##...", "#....", "....."]

    def test_a_rectangle_covers_the_centres_inside(self):
        corners = [(1, 1), (4.4, 1), (4.4, 2.6), (1, 2.6)]
        assert drawn(corners, (4, 6)) == ["......", ".###..", ".###..", "......"]

    def test_what_leaves_the_image_is_cut_off(self):
        assert drawn([(-5, -5), (2, -5), (2, 2), (-5, 2)], (3, 3)) == ["##.", "##.", "..."]

    def test_a_crossed_outline_is_filled_by_the_even_odd_rule(self):
        # the square 0 to 6, and within it the square 2 to 4 walked along the same way
        outer = [(0, 0), (6, 0), (6, 6), (0, 6), (0, 0)]
        inner = [(2, 2), (4, 2), (4, 4), (2, 4), (2, 2)]
        hole = drawn([*outer, *inner], (6, 6))
        assert hole == ["######", "######", "##..##", "##..##", "######", "######"]

    @given(points)
    def test_agrees_with_counting_the_crossings_of_each_pixel(self, corners):
        assert torch.equal(draw_polygon(corners, (8, 9)), slow_polygon(corners, (8, 9)))

    @given(st.tuples(coordinate, coordinate, coordinate, coordinate))
    def test_a_rectangle_is_drawn_as_the_same_box_is(self, edges):
        left, right = sorted(edges[:2])
        top, bottom = sorted(edges[2:])
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        # corners and the extent may round differently
        box = Box(left, top, right - left, bottom - top)
        edges_differ = left + box.width != right or top + box.height != bottom
        assert edges_differ or torch.equal(
            draw_polygon(corners, (8, 9)), draw_boxes((box,), (8, 9))
        )

    def test_many_edges_are_drawn_in_parts(self, monkeypatch):
        corners = [(5 + 4 * np.cos(t), 5 + 4 * np.sin(t)) for t in np.linspace(0, 6.28, 500)]
        whole = draw_polygon(corners, (10, 10))
        monkeypatch.setattr("sib.data.shapes.CROSSINGS", 70)
        assert whole.sum() == 52 and torch.equal(draw_polygon(corners, (10, 10)), whole)

    @pytest.mark.parametrize("seed", range(5))
    def test_differs_from_pycocotools_at_the_outline_alone(self, seed):
        generator = np.random.default_rng(seed)
        angles = np.sort(generator.uniform(0, 2 * np.pi, 12))
        radius = generator.uniform(10, 28, 12)
        corners = np.stack([32 + radius * np.cos(angles), 30 + radius * np.sin(angles)], axis=1)
        ours = draw_polygon([tuple(corner) for corner in corners], (60, 64)).numpy()
        theirs = oracle.decode(oracle.frPyObjects([corners.ravel().tolist()], 60, 64))[..., 0] > 0
        rows, columns = np.nonzero(ours != theirs)
        assert ours.sum() > 500 and len(rows) < 0.05 * ours.sum()
        for row, column in zip(rows, columns, strict=True):
            assert distance_to_outline(np.array([column + 0.5, row + 0.5]), corners) < 0.75

    def test_area_by_hand(self):
        assert signed_area([(0, 0), (4, 0), (0, 3)]) == 6
        assert signed_area([(0, 0), (0, 3), (4, 0)]) == -6
        assert signed_area([(0, 0), (1, 1), (2, 2)]) == 0


def slow_polygon(corners, size):
    mask = torch.zeros(size, dtype=torch.bool)
    for row in range(size[0]):
        for column in range(size[1]):
            x, y, inside = column + 0.5, row + 0.5, False
            for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
                # a crossing to the left, or at the centre itself
                if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
                    inside = not inside
            mask[row, column] = inside
    return mask


def distance_to_outline(place, corners):
    distances = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = np.clip((place - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
        distances.append(np.linalg.norm(place - start - along * (end - start)))
    return min(distances)


class TestRuns:
    def test_by_hand(self):
        # down the columns of 2 × 3: 0 1 | 1 1 | 0 0
        runs = Runs((1, 3, 2), 2, 3)
        assert draw_runs(runs, (2, 3)).int().tolist() == [[0, 1, 0], [1, 1, 0]]

    def test_along_the_rows(self):
        runs = Runs((1, 3, 2), 2, 3, along_rows=True)
        assert draw_runs(runs, (2, 3)).int().tolist() == [[0, 1, 1], [1, 0, 0]]

    def test_a_mask_of_another_size_is_brought_to_the_images(self):
        found = draw_runs(Runs((1, 3, 2), 2, 3), (4, 6)).int().tolist()
        assert found == [[0, 0, 1, 1, 0, 0]] * 2 + [[1, 1, 1, 1, 0, 0]] * 2

    def test_compressed_by_hand(self):
        # 48 + 6, 48 + 1 and 48 + 2 are the characters 6, 1 and 2
        assert decompress("612", "here") == [6, 1, 2]
        # 100 = 4 + 3 · 32: the character 48 + 4 + 32 says that more follows, 48 + 3 ends it
        assert decompress(chr(84) + "3", "here") == [100]
        # the fourth is 5 more than the second, the fifth 1 less than the third
        assert decompress("6125O", "here") == [6, 1, 2, 6, 1]

    @given(masks)
    def test_agrees_with_pycocotools(self, rows):
        mask = np.array(rows, dtype=np.uint8, order="F")
        theirs = oracle.encode(mask)
        runs = read_runs(theirs["counts"].decode(), list(theirs["size"]), "here")
        assert np.array_equal(draw_runs(runs, mask.shape).numpy(), mask == 1)
        listed = {"counts": list(runs.counts), "size": list(mask.shape)}
        assert np.array_equal(oracle.decode(oracle.frPyObjects(listed, *mask.shape)), mask)

    def test_long_runs_agree_with_pycocotools(self):
        mask = np.zeros((700, 900), dtype=np.uint8, order="F")
        mask[40:650, 33:800] = 1
        theirs = oracle.encode(mask)
        runs = read_runs(theirs["counts"].decode(), [700, 900], "here")
        assert np.array_equal(draw_runs(runs, mask.shape).numpy(), mask == 1)

    @pytest.mark.parametrize(
        ("counts", "size", "sentence"),
        [
            ([1, 3], [2, 3], "the counts sum to 4, but the mask of 3 × 2 has 6 pixels"),
            ([1, 3, 3], [2, 3], "the counts sum to 7"),
            ([7, -1], [2, 3], "whole numbers from 0 on"),
            ([1.0, 5], [2, 3], "whole numbers from 0 on"),
            ([True, 5], [2, 3], "whole numbers from 0 on"),
            ([], [2, 3], "whole numbers from 0 on"),
            ({"a": 1}, [2, 3], "whole numbers from 0 on"),
            ("", [2, 3], "whole numbers from 0 on"),
            ("6~", [2, 3], "damaged at '~'"),
            ("6é", [2, 3], "damaged at 'é'"),
            ("o" * 40, [2, 3], "damaged at 'o'"),
            ("o", [2, 3], "cut off"),
            ("61O1", [2, 3], "whole numbers from 0 on"),
            ([6], [2, 0], "size must be height and width"),
            ([6], [6], "size must be height and width"),
            ([6], "23", "size must be height and width"),
            ([2**40], [2**20, 2**20], "size must be height and width"),
        ],
    )
    def test_wrong_ones_are_refused(self, counts, size, sentence):
        with pytest.raises(InputError, match=r"^here: ") as error:
            read_runs(counts, size, "here")
        assert sentence in str(error.value)


class TestBitmap:
    @settings(deadline=None)
    @given(masks)
    def test_what_is_packed_is_drawn(self, rows):
        mask = np.array(rows, dtype=bool)
        assert np.array_equal(draw_bitmap(pack_bitmap(mask), mask.shape).numpy(), mask)

    def test_a_bitmap_of_another_size_is_brought_to_the_images(self):
        bitmap = pack_bitmap(np.array([[False, True, False], [True, True, False]]))
        found = draw_bitmap(bitmap, (4, 6)).int().tolist()
        assert found == [[0, 0, 1, 1, 0, 0]] * 2 + [[1, 1, 1, 1, 0, 0]] * 2

    def test_a_mask_of_many_runs_stays_small(self):
        rows, columns = np.indices((1000, 1000))
        assert len(pack_bitmap((rows + columns) % 2 == 1).content) < 2000
