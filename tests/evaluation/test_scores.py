"""The file of scores: what is written is what is read, or a sentence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sib.evaluation.scores import Scores, read_scores, to_csv
from sib.utils.errors import InputError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1, max_size=12)


def scores(names, values):
    count = len(names)
    return Scores(
        names,
        list(range(count)),
        [0] * count,
        [0.1 + index / 7 for index in range(count)],
        [float("nan") if index % 2 else 1 / 3 for index in range(count)],
        [("saliency", "sparseness"), ("vjp", "pointing_game")],
        np.array(values).reshape(count, 2),
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(NAMES, st.floats(allow_infinity=False)), min_size=1, max_size=6))
def test_every_bit_comes_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("scores") / "e.csv"
    given = scores([name for name, _ in rows], [[value, -value] for _, value in rows])
    path.write_text(to_csv(given), encoding="utf-8", newline="")
    found = read_scores(path)
    assert found.names == given.names
    assert (found.labels, found.predicted) == (given.labels, given.predicted)
    assert found.probability == given.probability
    assert found.columns == given.columns
    assert np.array_equal(found.values, given.values, equal_nan=True)
    assert np.array_equal(found.foreground_share, given.foreground_share, equal_nan=True)


@pytest.mark.parametrize(
    "text", ["", "image\n", "a,b\n1,2\n", "image,label,predicted,probability,correct,share\n"]
)
def test_other_files_are_named(tmp_path, text):
    (tmp_path / "e.csv").write_text(text)
    with pytest.raises(InputError, match=r"e\.csv is damaged"):
        read_scores(tmp_path / "e.csv")


def test_a_torn_line_is_named(tmp_path):
    text = to_csv(scores(["a", "b"], [[1.0, 2.0], [3.0, 4.0]]))
    (tmp_path / "e.csv").write_text(text[: len(text) - 12])
    with pytest.raises(InputError, match=r"e\.csv is damaged"):
        read_scores(tmp_path / "e.csv")


def test_correct_is_one_where_the_prediction_is_the_label():
    assert scores(["a", "b"], [[0.0, 0.0]] * 2).correct.tolist() == [1.0, 0.0]
