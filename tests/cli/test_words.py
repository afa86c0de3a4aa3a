"""Words of the command line that belong to no option."""

import pytest

from sib.cli.words import checked
from sib.config.audit import AuditConfig
from sib.config.data import CheckConfig
from sib.config.deploy import ExportConfig, PredictConfig
from sib.config.evaluate import EvaluateConfig, ExplainConfig
from sib.config.study import StudyConfig
from sib.config.train import TrainConfig
from sib.utils.errors import InputError

COMMANDS = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "explain": ExplainConfig,
    "predict": PredictConfig,
    "export": ExportConfig,
    "audit": AuditConfig,
    "check": CheckConfig,
    "study": StudyConfig,
}


def words_of(text: str) -> list[str]:
    command, *rest = text.split()
    return checked(f"sib {command}", COMMANDS[command], rest)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("train --freeze a b", "--freeze takes one value; got 'a' 'b': write a,b"),
        ("train --freeze a b c --seed 1", "--freeze takes one value; got 'a' 'b' 'c': write a,b,c"),
        ("train --freeze=a b", "--freeze takes one value; got 'a' 'b': write a,b"),
        ("train --freeze a, b", "write a,b"),
        ("train --stages a b", "--stages takes one value; got 'a' 'b': write a,b"),
        ("train --track wandb mlflow", "write wandb,mlflow"),
        ("train --image-size 64 48", "--image-size takes one value; got '64' '48': write 64x48"),
        ("train --image_size=64 48", "write 64x48"),
        ("predict r i --image-size 64 48", "write 64x48"),
        ("train --input.normalization 0.5 0.25", "write 0.5/0.25"),
        ("evaluate r --normalization 0.5 0.25", "write 0.5/0.25"),
        ("train --data my photos", "put it in quotes, 'my photos'"),
        ("train --seed 1 2", "--seed takes one value; got '1' '2'$"),
        ("export r --format onnx pt2", "--format takes one value; got 'onnx' 'pt2'"),
        ("predict r i --top 1 2", "--top takes one value; got '1' '2'"),
        ("train --freeze a --freeze b", "--freeze is given twice"),
        ("explain r --methods saliency i.png", "--methods takes the words after it, also 'i.png'"),
        ("export r s --format onnx", "sib export does not take 's'; sib export --help"),
        ("export r s", "sib export does not take 's' and needs --format; sib export --help"),
        ("export r onnx", "does not take 'onnx' and needs --format: write --format onnx; sib"),
        ("predict r i --image-size 64 48 none.png", "got '64' '48' 'none.png': write 64x48$"),
        ("evaluate r --image-size 224 none", "--image-size takes one value; got '224' 'none'$"),
        ("train --image-size 1 2 3", "--image-size takes one value; got '1' '2' '3'$"),
        ("train --freeze a b cub200/resnet50", "got 'a' 'b' 'cub200/resnet50': write a,b$"),
        ("train --data=mine digits", "--data takes one value; got 'mine' 'digits'$"),
        ("audit --image-size 64 48", "write 64x48"),
        ("train --image-size 224 x 192", "got '224' 'x' '192': write 224x192$"),
        ("train --image-size 224 by 192", "write 224x192$"),
    ],
)
def test_a_second_value_is_explained(line, sentence):
    with pytest.raises(InputError, match=sentence):
        words_of(line)


def test_paths_stand_together(tmp_path):
    image = tmp_path / "i.png"
    image.touch()
    with pytest.raises(InputError, match="sib predict takes all its paths together"):
        words_of(f"predict r {image} --top 1 {image}")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("evaluate a b", "sib evaluate takes one path; got 'a' 'b'; sib compare takes several"),
        ("evaluate --device cpu a b", "sib evaluate takes one path; got 'a' 'b'"),
        ("export a b --format onnx", "sib export takes one path; got 'a' 'b'$"),
        ("study a a", "sib study takes one path; got 'a' 'a'$"),
        ("export a onnx", "needs --format: write --format onnx"),
        ("train --data=a b", "--data takes one value; got 'a' 'b'$"),
        ("train --data my b", "--data takes one value; got 'my' 'b': .* in quotes, 'my b'$"),
        ("evaluate a --data my b", "put it in quotes, 'my b'$"),
    ],
)
def test_paths_that_there_are_decide(line, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "my b", "onnx"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=sentence):
        words_of(line)


@pytest.mark.parametrize(
    "line",
    [
        "predict r --image-size 224 photos/none.png",
        "predict r --image-size 224 none.png",
        "predict r --image-size 224 none.png 48",
        "evaluate --normalization half runs/a",
        "evaluate --normalization half r",
        "train --freeze a cub200/resnet50",
        "train --image-size 64 cub200/resnet50 --seed -1",
        "train cub200/resnet51 --resume",  # a mistyped recipe is another matter
        "train --dry-run cub200/resnet51",
        "train --out a --out b",
        "predict --top 1 r i j",
        "predict r --top 1 i j",
        "evaluate --device cpu r",
        "check --config x",
    ],
)
def test_arguments_of_the_command_pass(line):
    assert words_of(line) == line.split()[1:]


def test_names_may_have_commas_or_spaces_between_them():
    found = words_of("evaluate r --methods saliency,gradcam vjp --metrics=sparseness,energy_gain")
    assert " ".join(found) == "r --methods saliency gradcam vjp --metrics sparseness energy_gain"
    assert checked(
        "sib audit", AuditConfig, ["r", "--conditions", "blurred, greyed", "--conditions= noised,"]
    ) == ["r", "--conditions", "blurred", "greyed", "--conditions", "noised"]
    assert words_of("evaluate --layer a,b r") == ["--layer", "a,b", "r"]
