"""``sib data check`` and ``sib data show``."""

import json

import numpy as np
import pytest
from PIL import Image

from helpers import official
from helpers.pictures import save, save_classes, save_cub, save_splits, square_mask
from sib.cli.main import main
from sib.data import check as check_module

SETS = list(official.MAKERS)


def run(capsys, *arguments):
    try:
        code = main(["data", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


class TestCheck:
    @pytest.mark.parametrize("name", SETS)
    def test_a_small_set_lacks_the_published_counts_and_nothing_else(
        self, name, published_root, capsys
    ):
        root = published_root(name)
        code, out, err = run(capsys, "check", name, "--root", root, "--workers", 0)
        problems = [line for line in out.splitlines() if line.startswith("- ")]
        assert code == 1 and "2 problems" in err
        assert len(problems) == 2
        assert "training images; found" in problems[0] and "test images; found" in problems[1]

    def test_counts_that_match_are_fine(self, tmp_path, capsys, monkeypatch):
        entry = check_module.CATALOGUE["oxford_pet"]
        small = type(entry)(**{**vars(entry), "classes": 2, "train": 4, "test": 2})
        monkeypatch.setitem(check_module.CATALOGUE, "oxford_pet", small)
        official.make_oxford_pet(tmp_path, classes=2)
        code, out, _ = run(capsys, "check", "oxford_pet", "--root", tmp_path)
        assert code == 0 and "no problem" in out and "Oxford-IIIT Pet, 2 classes" in out
        assert "published" in out

    def test_a_folder_of_ones_own(self, tmp_path, capsys):
        code, out, _ = run(capsys, "check", save_splits(tmp_path / "mine"))
        assert code == 0
        assert "mine, 2 classes" in out and f"{tmp_path / 'mine'}: no problem" in out
        assert "published" not in out and "cut off" not in out and "no test split" not in out

    def test_a_folder_without_splits_is_told_how_it_will_be_divided(self, tmp_path, capsys):
        code, out, _ = run(capsys, "check", save_classes(tmp_path / "mine"))
        assert code == 0
        assert "no test split: sib train holds out a fifth of the images for the test, and a" in out

    def test_counts_for_programs_are_numbers(self, tmp_path, capsys):
        folder = save_splits(tmp_path / "mine")
        assert main(["data", "check", str(folder), "--table-format", "json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert {row["split"] for row in rows} >= {"train", "test"}
        assert all(type(row["images"]) is int and row["problems"] == 0 for row in rows)

    def test_images_that_cannot_be_read_and_masks_that_do_not_fit_are_listed(
        self, tmp_path, capsys
    ):
        root = save_classes(tmp_path / "mine", count=5)
        # the header is whole, so that opening the set does not notice
        content = (root / "cat" / "1.png").read_bytes()
        (root / "cat" / "1.png").write_bytes(content[: len(content) // 2])
        (root / "cat" / "2.png").write_text("no image")
        save(root / "dog" / "3_mask.png", square_mask(255, height=31))
        save(root / "dog" / "4_mask.png", square_mask(0))
        code, out, err = run(capsys, "check", root)
        assert code == 1 and "4 problems" in err
        assert "1.png cannot be read as an image" in out
        assert "2.png cannot be read as an image" in out
        assert "3_mask.png is 40 × 31 pixels, its image 40 × 30" in out
        assert "dog/4.png: its foreground is empty" in out

    def test_worker_processes_find_the_same(self, tmp_path, capsys):
        root = save_classes(tmp_path / "mine", count=110)
        (root / "dog" / "77.png").write_text("no image")
        one, other = (run(capsys, "check", root, "--workers", n)[:2] for n in (0, 2))
        assert one == other and one[0] == 1 and "77.png" in one[1]

    def test_only_the_first_twenty_are_listed(self, tmp_path, capsys):
        root = save_classes(tmp_path / "mine", count=30)
        for path in (root / "dog").iterdir():
            path.write_text("no image")
        code, out, err = run(capsys, "check", root)
        assert code == 1 and "30 problems" in err
        assert out.count("cannot be read as an image") == 20 and "- and 10 more" in out

    def test_a_list_that_names_a_missing_image(self, tmp_path, capsys):
        root = save_cub(tmp_path / "birds")
        (root / "images" / "9.Owl" / "a.png").unlink()
        code, out, err = run(capsys, "check", root)
        assert code == 1
        assert "images.txt: there is no image" in out and "1 problem stops the rest" in err

    def test_boxes_outside_and_boxes_that_overhang(self, tmp_path, capsys):
        official.make_imagenet(tmp_path, classes=2, boxes=True)
        notes = tmp_path / "ILSVRC/Annotations/CLS-LOC/train/n01440764"
        outside = official.annotation("a", "n", ((30, 1, 40, 5),))
        (notes / "n01440764_1.xml").write_text(outside)
        overhanging = official.annotation("a", "n", ((20, 1, 40, 5),))
        (notes / "n01440764_2.xml").write_text(overhanging)
        code, out, _ = run(capsys, "check", "imagenet", "--root", tmp_path)
        assert code == 1
        assert "n01440764_1.JPEG: the box 30 1 10 4 covers no pixel" in out
        row = next(line for line in out.splitlines() if "train" in line)
        assert [cell.strip() for cell in row.split("│")[2:-1]] == ["4", "1281167", "3", "1", "1"]

    def test_what_is_no_problem_and_should_be_known(self, tmp_path, capsys):
        root = save_classes(tmp_path / "mine", count=8)
        exif = Image.Exif()
        exif[0x0112] = 3
        Image.open(root / "cat" / "0.png").save(root / "cat" / "0.png", exif=exif)
        for number in range(4):
            value = np.full((30, 40), 255, np.uint8) if number == 3 else square_mask(255)
            save(tmp_path / "shapes" / "cat" / f"{number}.png", value)
        save(root / "cat" / "deep.png", np.full((30, 40), 4000, np.uint16))
        (root / "dog" / "x.heic").write_bytes(b"")
        code, out, _ = run(capsys, "check", root, "--masks", tmp_path / "shapes")
        assert code == 0
        lines = out.splitlines()
        assert "4 of 17 images have a foreground; without: " in out
        assert "cat/4.png, cat/5.png, cat/6.png and 10 more" in out
        assert "1 of 4 foregrounds cover their whole image" in lines
        assert any(line.startswith("1 images have an EXIF orientation and a") for line in lines)
        assert "left out: files that are not read, 1 .heic" in lines
        assert any("values 4000 to 4000" in x and "value-range 0-4095" in x for x in lines)

    def test_folds_that_hold_the_classes(self, tmp_path, capsys):
        for fold in "ab":
            save_classes(tmp_path / "set" / fold, count=2)
        main(["data", "check", str(tmp_path / "set")])
        said = " ".join(capsys.readouterr().out.split())
        assert "the classes are a, b, and each holds the folders cat, dog: if these are the" in said

    def test_masks_that_fit_no_image(self, tmp_path, capsys):
        save(tmp_path / "shapes" / "eel" / "1.png", square_mask(255))
        root = save_classes(tmp_path / "mine")
        code, out, _ = run(capsys, "check", root, "--masks", tmp_path / "shapes")
        assert code == 1 and "holds no mask for cat/0.png" in out

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["nowhere"], "nowhere does not exist, and is not one of digits, cifar100"),
            (["digits"], "digits is drawn, not stored"),
            (["cub200", "--root", "nowhere"], "nowhere holds no CUB-200-2011"),
            ([".", "--workers", "-1"], "--workers must be at least 0; got -1"),
            ([], "NAME"),
        ],
    )
    def test_bad_input_ends_with_2(self, arguments, words, capsys):
        code, out, err = run(capsys, "check", *arguments)
        assert code == 2 and words in " ".join((out + err).split())


class TestShow:
    @pytest.mark.parametrize("name", SETS)
    def test_draws_a_sheet_of_each(self, name, published_root, tmp_path, capsys):
        out = tmp_path / "sheet.png"
        code, _, _ = run(
            capsys, "show", name, "--root", published_root(name), "--out", out, "--count", 4
        )
        assert code == 0
        pixels = np.asarray(Image.open(out).convert("RGB")).astype(int)
        outline = (np.abs(pixels - [0, 213, 255]).max(-1) < 30).sum()
        assert (outline > 100) == (name not in ("cifar100", "imagenet"))

    def test_the_seed_chooses(self, tmp_path, capsys):
        root = save_classes(tmp_path / "mine", count=20)
        for number in range(20):
            save(root / "dog" / f"{number}.png", np.full((30, 40, 3), number * 12, np.uint8))
        sheets = []
        for place, seed in enumerate((0, 0, 1)):
            out = tmp_path / f"{place}.png"
            arguments = ["show", root, "--out", out, "--count", 3, "--seed", seed]
            assert run(capsys, *arguments)[0] == 0
            sheets.append(out.read_bytes())
        assert sheets[0] == sheets[1] != sheets[2]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--count", "0"], "--count must be 1 to 200; got 0"),
            (["--seed", "-1"], "--seed must be at least 0; got -1"),
            (["--out", "a.jpg"], "--out must end with .png; got a.jpg"),
            (["--out", "/proc/none/a.png"], "--out /proc/none/a.png cannot be written"),
            (["--split", "val"], "--split"),
        ],
    )
    def test_bad_input_ends_with_2(self, arguments, words, tmp_path, capsys):
        code, out, err = run(
            capsys, "show", "digits", "--out", tmp_path / "a.png", "--count", 1, *arguments
        )
        assert code == 2 and words in " ".join((out + err).split())
        assert not list(tmp_path.iterdir())
