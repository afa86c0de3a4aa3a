"""Names of classes that look alike, transparent photographs, and runs among the classes."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from helpers.pictures import save_classes
from sib.data.alike import alike_groups, alike_names
from sib.data.open import open_data
from sib.data.understood import remarks
from sib.utils.errors import InputError

COMPOSED, SPLIT_UP = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat", "Cat", "dog"], [["'cat'", "'Cat'"]]),
        (["cat", "cat ", "cat.", "dog"], [["'cat'", "'cat '", "'cat.'"]]),
        ([COMPOSED, SPLIT_UP], [["'caf\\xe9'", "'cafe\\u0301'"]]),
        (["cat", "cats", "class 1", "class 11", "1", "1.0"], []),
    ],
)
def test_known_answers(names, expected):
    assert alike_names(names) == expected


def test_groups_that_are_one_number_are_alike():
    """pandas writes 7 as 7.0 in a column with gaps, and Excel 007 as 7."""
    found = alike_groups(["7", "7.0", "007", "70", "7.5", "a7", "A7", "7"])
    assert found == [["'7'", "'7.0'", "'007'"], ["'a7'", "'A7'"]]


def test_a_long_group_is_compared_in_linear_time():
    """A quadratic search took minutes for a cell as long as CSV allows."""
    assert alike_groups(["0" * 10**5 + "x", "0" * 10**5, "0"]) == [
        [repr("0" * 10**5), "'0'"],
    ]


def test_groups_of_almost_the_same_name_are_reported(tmp_path):
    root = save_classes(tmp_path / "set", count=6)
    names = [f"{name}/{path.name}" for name in ("cat", "dog") for path in (root / name).iterdir()]
    rows = [f"{name},{n // 2}{'.0' * (n % 2)}" for n, name in enumerate(sorted(names))]
    (tmp_path / "g.csv").write_text("\n".join(["image,group", *rows]))
    said = remarks(open_data(str(root), groups=str(tmp_path / "g.csv")))
    assert "groups of almost the same name, which count as different ones: '0' and '0.0'" in said


def test_classes_of_one_name_are_reported(tmp_path):
    folder = save_classes(tmp_path / "set", count=6)
    first = sorted(each for each in folder.iterdir() if each.is_dir())[0]
    first.joinpath("copy.png").write_bytes(next(first.iterdir()).read_bytes())
    twin = folder / first.name.upper()
    twin.mkdir()
    for number in range(6):
        Image.fromarray(np.full((8, 8, 3), 9 * number, np.uint8)).save(twin / f"{number}.png")
    said = remarks(open_data(str(folder)))
    assert any(each.startswith("classes of almost the same name: ") for each in said)


def test_a_class_of_another_unicode_form_is_named(tmp_path):
    for split, name in (("train", COMPOSED), ("test", SPLIT_UP)):
        for each in (name, "dog"):
            (tmp_path / split / each).mkdir(parents=True)
            for number in range(4):
                picture = np.full((8, 8, 3), 40 * number, np.uint8)
                Image.fromarray(picture).save(tmp_path / split / each / f"{number}.png")
    with pytest.raises(InputError, match=r"the class 'cafe\\u0301', which train has as 'caf\\xe9'"):
        open_data(str(tmp_path))


@pytest.mark.parametrize(("alpha", "count"), [(0, 1), (128, 1), (255, 0)])
def test_transparent_images_are_counted(alpha, count, tmp_path):
    folder = save_classes(tmp_path / "set", count=6)
    path = sorted(folder.rglob("*.png"))[0]
    image = Image.open(path).convert("RGBA")
    image.putalpha(alpha)
    image.save(path)
    said = [each for each in remarks(open_data(str(folder))) if "transparent" in each]
    expected = ["1 image has transparent pixels, which are laid over white"]
    assert said == expected * count


def test_runs_among_the_classes_are_left_out(tmp_path):
    folder = save_classes(tmp_path / "set", count=6)
    classes = open_data(str(folder)).classes
    run = folder / "run"
    run.mkdir()
    for name in ("config.yaml", "metrics.jsonl"):
        (run / name).touch()
    assert open_data(str(folder)).classes == classes
