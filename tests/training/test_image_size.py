"""Annotations, groups and an input that is not square, from training to the report."""

import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from helpers.pictures import save_classes
from sib.cli.main import main
from sib.config.train import TrainConfig
from sib.evaluation.checkpoint import open_checkpoint
from sib.utils.errors import InputError

BOX = [12, 8, 16, 12]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of 48 images, their COCO boxes and their groups."""
    root = tmp_path_factory.mktemp("size")
    save_classes(root / "mine", count=24)
    names = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(24)]
    images = [{"id": n, "file_name": name} for n, name in enumerate(names[:-1])]
    objects = [{"image_id": n, "bbox": BOX} for n in range(len(images))]
    content = {"images": [*images, {"id": 99, "file_name": "gone.png"}], "annotations": objects}
    (root / "boxes.json").write_text(json.dumps(content))
    rows = "".join(f"{name},{int(name[4:-4]) // 2}\n" for name in names)
    (root / "groups.csv").write_text("image,group\n" + rows)
    return root


def options(place, out, *more):
    chosen = ["--data", place / "mine", "--out", out, "--arch", "small_resnet", "--epochs", 1]
    chosen += ["--batch-size", 8, "--workers", 0, "--input.cache", place / "cache"]
    chosen += ["--input.annotations", place / "boxes.json", "--input.groups", place / "groups.csv"]
    return [str(word) for word in ["train", *chosen, *more]]


@pytest.fixture(scope="module")
def run(place):
    out = place / "run"
    arguments = ("--image-size", "24x32", "--input.resize", "pad", "--input.augment", "flip")
    assert main(options(place, out, *arguments)) == 0
    return out


def test_the_run_records_what_it_was_given(run, place):
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["image_size"] == "24x32"
    assert config["input"]["resize"] == "pad"
    assert config["input"]["annotations"] == str(place / "boxes.json")
    environment = json.loads((run / "environment.json").read_text())
    assert environment["data"]["annotations"]["annotated"] == 47
    assert environment["data"]["annotations"]["unmatched"] == [1, "gone.png"]
    assert sum(environment["data"]["groups"].values()) == 12
    checkpoint = open_checkpoint(run, torch.device("cpu"))
    assert (checkpoint.image_size, checkpoint.resize) == ((24, 32), "pad")


def test_the_start_of_a_run_says_how_many_fit(place, tmp_path, capsys):
    arguments = options(place, tmp_path / "run", "--image-size", "24x32", "--dry-run")
    assert main(arguments) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "annotations: COCO JSON; 47 of 48 images have a foreground" in out
    assert "1 annotation names no image, the first: gone.png" in out
    assert "small_resnet at 24 × 32 (height × width)" in out


def test_it_goes_on_with_the_same_size_alone(place, run, capsys):
    arguments = ("--input.resize", "pad", "--input.augment", "flip", "--resume")
    assert main(options(place, run, "--image-size", "24x32", "--epochs", "2", *arguments)) == 0
    assert main(options(place, run, "--image-size", "32x24", "--epochs", "2", *arguments)) == 2
    assert "image_size was '24x32' and is '32x24'" in capsys.readouterr().err


def test_evaluate_explain_and_report_follow(run, place, tmp_path, capsys):
    assert main(["evaluate", str(run), "--limit", "4", "--out", str(tmp_path / "e")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "47 of 48 images have a foreground" in out
    found = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert (found["image_size"], found["resize"]) == ("24x32", "pad")
    # a box of 16 × 12 in 40 × 30 pixels
    assert found["foreground_share"] == pytest.approx(0.16, abs=0.01)
    picture = place / "mine" / "cat" / "0.png"
    assert main(["explain", str(run), str(picture), "--out", str(tmp_path / "figures")]) == 0
    assert (tmp_path / "figures" / "0.png").stat().st_size > 1000
    assert main(["report", str(run), "--images", "2", "--out", str(tmp_path / "r.html")]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("metrics", [("deletion_area", "parameter_randomisation")])
def test_every_measure_takes_the_size(metrics, run, tmp_path, capsys):
    arguments = ["--limit", "2", "--out", str(tmp_path), "--metrics", *metrics]
    assert main(["evaluate", str(run), *arguments]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("method", ["ce", "energy", "rrr", "sib"])
def test_every_method_takes_the_size(method, place, tmp_path, capsys):
    more = ["--method", method, "--image-size", "32x24"]
    more += ["--objective", "published", "--objective.window-size", "7"] if method == "sib" else []
    assert main(options(place, tmp_path / "run", *more)) == 0
    capsys.readouterr()


def test_a_window_must_fit_the_shorter_side(place, tmp_path, capsys):
    more = ["--image-size", "64x24", "--objective", "published"]
    assert main(options(place, tmp_path / "run", *more)) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "31 pixels do not fit into 64 × 24 (height × width)" in err


@pytest.mark.parametrize("words", [("64", "48"), ("64x",), ("0",), ("4x0",)])
def test_wrong_sizes_get_a_sentence(words, capsys):
    for command in (["train", "--data", "digits"], ["evaluate", "run"]):
        assert main([*command, "--image-size", *words]) == 2
        err = capsys.readouterr().err
        assert err.startswith("sib: --image-size") and len(err.splitlines()) == 1


def test_digits_are_drawn_at_the_longer_side(tmp_path, capsys):
    arguments = ["train", "--data", "digits", "--image-size", "24x32", "--arch", "small_resnet"]
    arguments += ["--input.train-size", "40", "--input.test-size", "10", "--epochs", "1"]
    arguments += ["--workers", "0", "--batch-size", "8", "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    data = json.loads((tmp_path / "run" / "environment.json").read_text())["data"]
    assert data["image_size"] == 32
    capsys.readouterr()


class TestForeignWeights:
    @pytest.fixture
    def weights(self, run, tmp_path):
        return save_weights(run, tmp_path / "weights.safetensors")

    def test_classes_size_and_annotations_can_be_given(self, weights, place, tmp_path, capsys):
        names = tmp_path / "names.txt"
        names.write_text("cat\ndog\n")
        common = ["--arch", "small_resnet", "--image-size", "24x32", "--resize", "squash"]
        common += ["--normalization", "half"]
        common += ["--classes", str(names)]
        arguments = ["--data", str(place / "mine"), "--annotations", str(place / "boxes.json")]
        arguments += ["--out", str(tmp_path / "e"), "--limit", "2"]
        assert main(["evaluate", str(weights), *arguments, *common]) == 0
        found = json.loads((tmp_path / "e" / "evaluation.json").read_text())
        assert found["resize"] == "squash" and found["annotated"] >= 1
        picture = str(place / "mine" / "cat" / "0.png")
        arguments = ["--out", str(tmp_path / "f"), "--target", "dog"]
        assert main(["explain", str(weights), picture, *arguments, *common]) == 0
        assert ": cat, " in capsys.readouterr().out.replace(": dog, ", ": cat, ")
        assert main(["predict", str(weights), picture, *common]) == 0
        assert {"cat", "dog"} <= set(capsys.readouterr().out.split())

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("cat\n", "names 1 classes, and"),
            ("cat\ndog\nowl\n", "names 3 classes, and"),
            ("cat\ncat\n", "names the class cat twice"),
            ("dog\ncat\n", "has a class 'dog' where mine has 'cat'"),
            (None, "is missing"),
        ],
    )
    def test_wrong_names_are_refused(self, text, sentence, weights, place, tmp_path, capsys):
        names = tmp_path / "names.txt"
        if text is not None:
            names.write_text(text)
        arguments = ["--data", str(place / "mine"), "--arch", "small_resnet"]
        arguments += ["--normalization", "half"]
        assert main(["evaluate", str(weights), *arguments, "--classes", str(names)]) == 2
        assert sentence in " ".join(capsys.readouterr().err.split())

    def test_names_that_contradict_the_weights_are_refused(self, run, tmp_path, capsys):
        names = tmp_path / "names.txt"
        names.write_text("cat\nhound\n")
        image = tmp_path / "a.png"
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(image)
        assert main(["explain", str(run), str(image), "--classes", str(names)]) == 2
        assert "names class 1 hound, but" in " ".join(capsys.readouterr().err.split())

    @pytest.mark.parametrize("fact", [{"image_size": "0x4"}, {"image_size": "9000x9"}])
    def test_a_size_of_a_header_is_checked(self, fact, run, tmp_path):
        path = save_weights(run, tmp_path / "w.safetensors", {"arch": "small_resnet", **fact})
        with pytest.raises(InputError, match="its image_size must be from 1 to 8192"):
            open_checkpoint(path, torch.device("cpu"))

    def test_a_rule_of_a_header_is_checked(self, run, tmp_path):
        facts = {"arch": "small_resnet", "normalization": "half", "resize": ["pad"]}
        path = save_weights(run, tmp_path / "w.safetensors", facts)
        with pytest.raises(InputError, match="its resize must be crop, squash or pad"):
            open_checkpoint(path, torch.device("cpu"))


def save_weights(run, path, facts=None):
    state = load_file(run / "best.safetensors")
    save_file(state, path, {"sib": json.dumps(facts)} if facts else None)
    return path


def test_the_options_of_python_are_checked():
    assert TrainConfig(data="digits", image_size=(8, 8)).side == 8
    with pytest.raises(InputError, match="--image-size must be an integer, or height and width"):
        TrainConfig(data="digits", image_size=(1, 2, 3))
