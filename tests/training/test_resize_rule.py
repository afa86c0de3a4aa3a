"""The resize rule that weights bring: parsed, followed as timm does, recorded and used again."""

import json

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from timm.data import create_transform
from torchvision import tv_tensors

from helpers.pictures import save_classes
from sib.cli.main import main
from sib.config.stored import stored_options
from sib.data import JointTransform, Sample
from sib.evaluation.checkpoint import open_checkpoint
from sib.models.pretrained import published_facts
from sib.models.start import read_start
from sib.utils.errors import InputError
from sib.utils.resize import ResizeRule, parse_resize

ARCH = "timm/test_efficientnet"
RULE = "crop:0.95:bicubic"


@pytest.mark.parametrize(
    "text", ["crop", "squash", "pad", RULE, "crop:bicubic", "squash:0.9:bicubic", "pad:bicubic"]
)
def test_a_rule_is_written_as_it_is_read(text):
    assert str(parse_resize(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "auto", "crop:", "crop:0", "crop:1.1", "crop:nan", "pad:0.9", "crop:0.9:lanczos"),
        *("crop:0.9:0.8", "crop:bicubic:0.9", ["pad"], None),
    ],
)
def test_other_rules_are_refused(text):
    with pytest.raises(InputError, match="resize must be crop, squash or pad"):
        parse_resize(text)


@pytest.mark.parametrize("resized", [*range(224, 300), 342, 393])
def test_a_published_size_of_the_resized_image_is_exact(resized):
    rule = parse_resize(str(ResizeRule("crop", 224 / resized, "bilinear")))
    assert rule.resized(224) == resized


@pytest.mark.parametrize("shape", [(90, 140), (133, 70), (61, 61)])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("kind", ["center", "squash"])
def test_images_are_those_of_timms_own_transform(kind, mode, shape):
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC)
    theirs = create_transform(
        64, crop_pct=0.9, crop_mode=kind, interpolation=mode, mean=(0,) * 3, std=(1,) * 3
    )(picture)
    rule = ("crop" if kind == "center" else kind) + f":0.9:{mode}"
    image = tv_tensors.Image(np.array(picture).transpose(2, 0, 1).copy())
    ours = JointTransform(64, resize=rule)(Sample(image, 0, None)).image / 255
    assert (ours - theirs).abs().max() <= 2 / 255


@pytest.mark.parametrize("rule", [RULE, "crop:0.6", "squash:0.7:bicubic"])
def test_the_foreground_follows_the_crop(rule):
    image = torch.zeros(3, 80, 120, dtype=torch.uint8)
    image[:, 30:60, 25:70] = 255
    sample = Sample(tv_tensors.Image(image), 0, tv_tensors.Mask(image[:1] > 0))
    found = JointTransform(48, resize=rule)(sample)
    bright, marked = (centre(part) for part in (found.image[0] / 255, found.foreground[0].float()))
    assert (bright - marked).abs().max() < 0.5  # pixels


def centre(weights):
    """Centre of mass of (H, W), in pixels."""
    rows, columns = (torch.arange(side).float() for side in weights.shape)
    total = weights.sum()
    return torch.stack(((weights.sum(1) @ rows) / total, (weights.sum(0) @ columns) / total))


def test_a_small_share_is_refused_before_it_takes_the_memory():
    sample = Sample(tv_tensors.Image(torch.zeros(3, 9, 9, dtype=torch.uint8)), 0, None)
    with pytest.raises(InputError, match="more than the"):
        JointTransform(224, resize="squash:0.001")(sample)


def test_architectures_say_their_rule():
    assert published_facts(ARCH).resize == RULE
    assert published_facts("timm/dm_nfnet_f0").resize == "squash:0.9:bicubic"
    assert published_facts("timm/coat_lite_medium_384").resize == "squash:bicubic"
    assert published_facts("timm/deepseek_vit_412m").resize is None
    assert published_facts("vit_l_32").resize == "crop:0.875"
    assert parse_resize(published_facts("resnet50").resize).resized(224) == 232


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pictures, weights of timm's own names, and a run that starts from them."""
    root = tmp_path_factory.mktemp("rule")
    save_classes(root / "mine", count=8)
    torch.manual_seed(0)
    torch.save(timm.create_model(ARCH.removeprefix("timm/")).state_dict(), root / "their.pt")
    assert main(options(root, "run")) == 0
    return root


def options(place, out, *more):
    found = ["train", "--data", place / "mine", "--arch", ARCH, "--weights", place / "their.pt"]
    found += ["--image-size", 32, "--epochs", 1, "--batch-size", 8, "--workers", 0]
    found += ["--method", "ce", "--input.cache", "off", "--out", place / out]
    return [str(word) for word in [*found, *more]]


def rule_of(folder):
    return yaml.safe_load((folder / "config.yaml").read_text())["input"]["resize"]


def test_a_run_takes_records_and_keeps_the_rule_of_its_weights(place, capsys):
    run = place / "run"
    assert rule_of(run) == RULE
    environment = json.loads((run / "environment.json").read_text())
    assert environment["resize_source"] == f"timm's configuration of {ARCH}"
    assert main(options(place, "run", "--resume", "--epochs", "2")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"resize {RULE} (as recorded)" in out
    assert open_checkpoint(run, torch.device("cpu")).resize == RULE
    assert main(["evaluate", str(run), "--limit", "2", "--methods", "saliency"]) == 0
    assert f"resize {RULE} (its header)" in " ".join(capsys.readouterr().out.split())
    assert json.loads((run / "evaluation.json").read_text())["resize"] == RULE
    assert read_start(run, ARCH).resize == RULE


def test_an_option_wins(place):
    assert main(options(place, "given", "--input.resize", "squash")) == 0
    assert rule_of(place / "given") == "squash"
    assert read_start(place / "given", ARCH).resize == "squash"


def test_weights_from_elsewhere_are_evaluated_by_their_rule(place):
    cpu = torch.device("cpu")
    found = open_checkpoint(place / "their.pt", cpu, arch=ARCH, image_size=32)
    assert (found.resize, found.resize_source) == (RULE, f"timm's configuration of {ARCH}")
    given = open_checkpoint(place / "their.pt", cpu, arch=ARCH, image_size=32, resize="pad")
    assert (given.resize, given.resize_source) == ("pad", "as given")


def test_runs_from_before_the_rule_keep_the_crop():
    assert stored_options({"input": {"augment": "none"}})["input.resize"] == "crop"


def test_a_bad_rule_is_one_sentence(place, capsys):
    assert main(options(place, "bad", "--input.resize", "stretch")) == 2
    assert "--input.resize must be crop, squash or pad" in capsys.readouterr().err
    assert main(["predict", str(place / "run"), "x.png", "--resize", "stretch"]) == 2
    assert "--resize must be crop, squash or pad" in capsys.readouterr().err
    assert not (place / "bad").exists()
