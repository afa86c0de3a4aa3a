"""A run is measured on the images that it recorded, or not at all."""

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
import yaml

from helpers.pictures import save, square_mask
from sib.cli.main import main
from sib.runs.reader import IMAGES

TRAIN = ["--arch", "small_resnet", "--method", "ce", "--image-size", "32", "--epochs", "1"]
TRAIN += ["--batch-size", "4", "--workers", "0", "--device", "cpu"]


def save_noise(root, seed=0, count=8):
    chance = np.random.default_rng(seed)
    for name in ("x", "y"):
        for number in range(count):
            save(root / name / f"{number}.png", chance.integers(0, 256, (32, 32, 3), np.uint8))
    return root


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, " ".join(captured.out.split()), " ".join(captured.err.split())


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A folder, and a run that was trained on it by its relative path."""
    root = tmp_path_factory.mktemp("held")
    save_noise(root / "ev")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert main(["train", "--data", "ev", "--out", "run", *TRAIN]) == 0
    return root


@pytest.fixture
def made(once, tmp_path, monkeypatch):
    """A copy of both; the run remembers the copy's place."""
    work = tmp_path / "work"
    shutil.copytree(once, work)
    file = work / "run" / "environment.json"
    facts = json.loads(file.read_text())
    assert facts["data"]["path"] == str(once / "ev") and facts["data"]["given"] == "ev"
    facts["data"]["path"] = str(work / "ev")
    file.write_text(json.dumps(facts))
    monkeypatch.chdir(work)
    return work


def evaluate(capsys, run_folder, *more):
    options = ["--methods", "vjp", "--device", "cpu", *more]
    return run(capsys, "evaluate", run_folder, *options)


def recorded_test(made):
    with open(made / "run" / IMAGES, newline="") as file:
        return [row["image"] for row in csv.DictReader(file) if row["split"] == "test"]


def measured(made):
    with open(made / "run" / "evaluation.csv", newline="") as file:
        return [row["image"] for row in csv.DictReader(file)]


def test_images_that_were_added_do_not_draw_the_split_again(made, capsys):
    chance = np.random.default_rng(9)
    for name in ("x", "y"):
        save(made / "ev" / name / "00.png", chance.integers(0, 256, (32, 32, 3), np.uint8))
    code, out, _ = evaluate(capsys, made / "run")
    assert code == 0
    assert "2 images are not in the run's record (first x/00.png)" in out
    assert measured(made) == recorded_test(made)


def test_a_relative_path_is_not_another_folder_of_that_name(made, capsys, monkeypatch, tmp_path):
    save_noise(tmp_path / "other" / "ev", seed=1)
    monkeypatch.chdir(tmp_path / "other")
    code, out, _ = evaluate(capsys, made / "run")
    own = json.loads((made / "run" / "evaluation.json").read_text())["pixels_sha256"]
    assert code == 0 and "as the run recorded it" in out
    monkeypatch.chdir(made)
    assert evaluate(capsys, made / "run")[0] == 0
    assert json.loads((made / "run" / "evaluation.json").read_text())["pixels_sha256"] == own


def test_another_folder_in_its_place_is_refused(made, capsys, monkeypatch, tmp_path):
    shutil.move(made / "ev", made / "moved")
    save_noise(tmp_path / "other" / "ev", seed=1)
    monkeypatch.chdir(tmp_path / "other")
    code, _, err = evaluate(capsys, made / "run")
    assert code == 2
    assert "does not hold the test images that the run recorded: 4 images have different" in err
    assert "name the folder that holds them with --data" in err


def test_a_folder_that_is_gone_is_said_with_both_places(made, capsys):
    shutil.move(made / "ev", made / "moved")
    code, _, err = evaluate(capsys, made / "run")
    assert code == 2
    assert f"ev does not exist, and neither does {made / 'ev'}" in err and "--data" in err


@pytest.mark.parametrize("command", ["evaluate", "compare", "report"])
def test_a_folder_that_was_moved_is_found_by_data(made, capsys, command, tmp_path):
    shutil.move(made / "ev", made / "moved")
    if command == "compare":
        shutil.copytree(made / "run", made / "second")
        config = yaml.safe_load((made / "second" / "config.yaml").read_text())
        (made / "second" / "config.yaml").write_text(yaml.safe_dump(config | {"method": "energy"}))
        arguments = [made / "run", made / "second", "--out", tmp_path / "comparison"]
    elif command == "report":
        arguments = [made / "run", "--out", tmp_path / "report.html", "--images", "2"]
    else:
        arguments = [made / "run", "--methods", "vjp"]
    refused, _, _ = run(capsys, command, *arguments, "--device", "cpu")
    assert refused == 2
    code, out, err = run(capsys, command, *arguments, "--device", "cpu", "--data", "moved")
    assert code == 0, err
    assert measured(made) == recorded_test(made)
    if command == "report":
        assert "no images in the report" not in out


def test_another_folder_that_is_given_is_read_as_it_is_and_what_was_trained_on_is_said(
    made, capsys
):
    gone = recorded_test(made)[0]
    (made / "ev" / gone).unlink()
    code, out, _ = evaluate(capsys, made / "run", "--data", "ev")
    assert code == 0
    assert f"1 image is missing ({gone}); so ev is read as it is, and split again" in out
    assert "test images are images that run was trained on (first " in out
    page = made / "page.html"
    code, out, _ = run(capsys, "report", made / "run", "--out", page, "--device", "cpu")
    assert code == 0  # what was measured then is still what it shows
    assert "test images are images that run was trained on (first " in " ".join(out.split())
    assert "images are images that run was trained on (first " in page.read_text()


def test_a_run_without_a_table_is_held_to_the_checksum_of_its_names(made, capsys):
    (made / "run" / IMAGES).unlink()
    assert evaluate(capsys, made / "run")[0] == 0
    save(made / "ev" / "x" / "00.png", np.zeros((32, 32, 3), np.uint8))
    code, _, err = evaluate(capsys, made / "run")
    assert code == 2 and "does not hold the images that" in err and "'train': 10" in err


def test_a_run_is_not_resumed_on_other_contents(made, capsys):
    command = ["train", "--data", "ev", "--out", "run", *TRAIN, "--epochs", "2", "--resume"]
    save_noise(made / "ev", seed=5)
    code, _, err = run(capsys, *command)
    assert code == 2 and "the same names but different content" in err


def test_a_damaged_table_is_refused(made, capsys):
    (made / "run" / IMAGES).write_text("split\n")
    code, _, err = evaluate(capsys, made / "run")
    assert code == 2 and "images.csv is damaged" in err


def test_a_bad_image_is_skipped_and_listed(made, capsys):
    first = made / "ev" / recorded_test(made)[0]
    whole = first.read_bytes()
    first.write_bytes(whole[: len(whole) // 2])
    digest = hashlib.sha256(first.read_bytes()).hexdigest()[:32]  # as if it had been so before
    table = (made / "run" / IMAGES).read_text()
    table = table.replace(hashlib.sha256(whole).hexdigest()[:32], digest)
    (made / "run" / IMAGES).write_text(table)
    code, _, err = evaluate(capsys, made / "run")
    assert code == 2 and f"{first.name} cannot be read as an image" in err
    code, out, _ = evaluate(capsys, made / "run", "--on-bad-image", "skip", "--batch-size", "1")
    assert code == 0 and "left out: 1 image that cannot be read, the first: " in out
    assert measured(made) == recorded_test(made)[1:]
    assert len(json.loads((made / "run" / "evaluation.json").read_text())["skipped"]) == 1


def test_masks_can_be_given_later(made, capsys):
    for name in recorded_test(made):
        save(made / "shapes" / name, square_mask(255, 32, 32))
    code, out, _ = evaluate(capsys, made / "run", "--masks", "shapes")
    assert code == 0 and "4 of 16 with a foreground" in out


def save_boxes(file, names, left=4):
    """A box of 8 × 8 pixels in each image, as CSV."""
    lines = [f"{name},{left},4,{left + 8},12" for name in names]
    file.write_text("\n".join(["image,xmin,ymin,xmax,ymax", *lines]))
    return file


def every_name():
    return [f"{name}/{number}.png" for name in ("x", "y") for number in range(8)]


@pytest.fixture(scope="module")
def annotated_once(tmp_path_factory):
    """A run with boxes and groups, each given by a relative path."""
    root = tmp_path_factory.mktemp("annotated")
    save_noise(root / "ev")
    save_boxes(root / "boxes.csv", every_name())
    rows = [f"{name},{index // 2}" for index, name in enumerate(every_name())]
    (root / "groups.csv").write_text("\n".join(["image,group", *rows]))
    own = ["--input.annotations", "boxes.csv", "--input.groups", "groups.csv"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert main(["train", "--data", "ev", "--out", "run", *TRAIN, *own]) == 0
    return root


@pytest.fixture
def annotated(annotated_once, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(annotated_once / "run", work / "run")
    return work


def facts_of(folder):
    return json.loads((folder / "run" / "evaluation.json").read_text())


def test_annotations_of_a_run_are_found_from_elsewhere(annotated, capsys, monkeypatch):
    monkeypatch.chdir(annotated)
    code, out, err = evaluate(capsys, "run")
    assert code == 0, err
    assert "as the run recorded it" in out and "annotations: CSV" in out
    assert facts_of(annotated)["annotated"] == facts_of(annotated)["images"] > 0
    assert measured(annotated) == recorded_test(annotated)


def test_masks_and_annotations_that_are_given_stand_in_for_those_of_the_run(
    annotated, capsys, monkeypatch
):
    monkeypatch.chdir(annotated)
    for name in recorded_test(annotated):
        save(annotated / "shapes" / name, square_mask(255, 32, 32, (slice(0, 16), slice(0, 32))))
    assert evaluate(capsys, "run", "--masks", "shapes")[0] == 0
    assert facts_of(annotated)["foreground_share"] == 0.5
    boxes = save_boxes(annotated / "more.csv", every_name(), left=-4)
    assert evaluate(capsys, "run", "--annotations", boxes)[0] == 0
    assert facts_of(annotated)["foreground_share"] == 4 * 8 / 32**2
    code, _, err = evaluate(capsys, "run", "--annotations", boxes, "--masks", "shapes")
    assert code == 2 and "masks and annotations cannot be given together" in err


def test_another_folder_is_read_without_the_annotations_and_groups_of_the_run(
    annotated, capsys, tmp_path
):
    for name in ("x", "y"):  # names that the boxes and groups of the run do not have
        chance = np.random.default_rng(7)
        for number in range(20, 28):
            pixels = chance.integers(0, 256, (32, 32, 3), np.uint8)
            save(tmp_path / "other" / name / f"{number}.png", pixels)
    code, out, err = evaluate(capsys, annotated / "run", "--data", tmp_path / "other")
    assert code == 0, err
    assert "is read as it is, and split again, without groups" in out
    assert facts_of(annotated)["annotated"] == 0


def test_options_for_a_folder_do_not_keep_a_run_from_a_named_set(annotated, capsys):
    code, _, err = evaluate(capsys, annotated / "run", "--data", "digits")
    assert code == 2 and "has 2 classes, and digits has 10" in err
    code, _, err = evaluate(capsys, annotated / "run", "--data", "digits", "--masks", "m")
    assert code == 2 and "masks cannot be given for digits" in err


def test_an_audit_is_held_to_the_recorded_images(annotated, capsys, annotated_once):
    groups = annotated_once / "ev" / "groups.csv"
    shutil.copy(annotated_once / "groups.csv", groups)
    options = ["--device", "cpu", "--conditions", "greyed", "--resamples", "100"]
    try:
        code, _, err = run(capsys, "audit", annotated / "run", *options)
    finally:
        groups.unlink()
    assert code == 0, err
    facts = json.loads((annotated / "run" / "audit.json").read_text())
    assert facts["images"] == len(recorded_test(annotated)) and facts["groups"]
