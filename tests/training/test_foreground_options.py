"""The options of found foregrounds in `sib train` and `sib data show`."""

import pytest

from helpers.squares import start_weights, write_folder
from sib.cli.main import main


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return start_weights(tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--foreground", "pretrained"], "needs a network to start from: give --weights"),
        (["--foreground", "pretrained", "--method", "ce"], "is for --method sib"),
        (["--foreground", "colours", "--objective", "published"], "got published"),
        (["--objective.foreground-layer", "stages"], "give --weights, too"),
    ],
)
def test_options_without_use_are_refused(arguments, sentence, capsys):
    assert main(["train", "--data", "digits", *arguments]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_a_layer_without_places_ends_with_code_2(weights, tmp_path, capsys):
    images, masks = map(str, write_folder(tmp_path / "set"))
    common = ["train", "--data", images, "--input.masks", masks, "--weights", weights]
    common += ["--arch", "small_resnet", "--device", "cpu", "--workers", "0", "--image-size", "32"]
    wrong = [*common, "--out", str(tmp_path / "x"), "--objective.foreground-layer", "head"]
    assert main(wrong) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "--objective.foreground-layer: layer head must give a feature map" in said
    assert "or give --foreground colours" in said


def shown(capsys, *arguments):
    code = main(["data", "show", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, " ".join((captured.out + captured.err).split())


def test_data_show_draws_what_is_found(weights, tmp_path, capsys):
    images, _ = write_folder(tmp_path / "set", 30)
    sheets = [tmp_path / "annotated.png", tmp_path / "found.png"]
    network = ["--foreground", "pretrained", "--arch", "small_resnet", "--weights", weights]
    network += ["--image-size", "32", "--device", "cpu"]
    code, text = shown(capsys, images, "--out", sheets[0], "--count", 6)
    assert code == 0, text
    code, text = shown(capsys, images, "--out", sheets[1], "--count", 6, *network)
    assert code == 0 and "the start network's features" in text, text
    assert "not measured, since no training image is annotated" in text
    assert sheets[0].read_bytes() != sheets[1].read_bytes()
    images, _ = write_folder(tmp_path / "annotated", 30, beside=True)
    code, text = shown(capsys, images, "--out", sheets[1], "--count", 6, *network)
    assert code == 0 and "of their area lies on the annotated object" in text, text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--foreground", "pretrained"], "needs a network: give --weights and --arch"),
        (["--layer", "stages"], "--layer is for --foreground pretrained; got annotation"),
        (["--foreground", "pretrained", "--split", "test", "--weights", "x"], "--split must be"),
        (["--foreground", "pretrained", "--weights", "x.pt"], "x.pt"),
    ],
)
def test_data_show_refuses_in_a_sentence(arguments, sentence, tmp_path, capsys):
    code, text = shown(capsys, "digits", "--out", tmp_path / "a.png", *arguments)
    assert code == 2 and sentence in text, text


def test_data_show_names_its_own_options(weights, tmp_path, capsys):
    network = ["--foreground", "pretrained", "--arch", "small_resnet", "--weights", weights]
    code, text = shown(capsys, "digits", "--out", tmp_path / "a.png", *network, "--layer", "head")
    assert code == 2 and "--layer: layer head must give" in text and "colours" not in text
