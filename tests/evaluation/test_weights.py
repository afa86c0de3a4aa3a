"""Weights from files of every kind, trusted and not."""

import argparse
import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sib.evaluation.checkpoint import open_checkpoint
from sib.models import build
from sib.models.names import check_for_copies, match_names
from sib.models.small import SmallResNet
from sib.models.start import read_start
from sib.models.transfer import load_into
from sib.models.weights import read_weights
from sib.tasks.shorthand import SpatialIBTask
from sib.utils.errors import InputError

CPU = torch.device("cpu")


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


@pytest.fixture
def model():
    return build("small_resnet", 4, 32)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": s}])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod.", "task.model."])
def test_state_dicts_of_other_loops(tmp_path, model, wrap, prefix):
    path = tmp_path / "weights.pt"
    torch.save(wrap({prefix + name: value for name, value in model.state_dict().items()}), path)
    state, facts = read_weights(path)
    assert facts == {}
    other = build("small_resnet", 4, 32)
    load_into(other, state, str(path), "small_resnet")
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(other.eval()(images), model.eval()(images))


def test_a_pickle_is_refused_and_nothing_of_it_runs(tmp_path):
    marker = tmp_path / "ran"
    for name in ("evil.pt", "evil.pth"):
        (tmp_path / name).write_bytes(pickle.dumps({"fc.weight": Attack(marker)}, protocol=2))
        with pytest.raises(
            InputError, match=r"is refused: it holds io\.open, which is more than weights"
        ):
            read_weights(tmp_path / name)
    torch.save({"state_dict": {"fc.weight": Attack(marker)}}, tmp_path / "zip.pt")
    with pytest.raises(InputError, match="is refused"):
        read_weights(tmp_path / "zip.pt")
    assert not marker.exists()


def test_a_whole_pickled_model_is_refused(tmp_path, model):
    torch.save(model, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"save model\.state_dict\(\)"):
        read_weights(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "holds no weights"),
        ([1, 2], "holds no weights"),
        ({"epoch": 3}, "'epoch' is a int"),
        ({"state_dict": {"lr": 0.1}}, "'lr' is a float"),
    ],
)
def test_files_without_weights(tmp_path, content, sentence):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match=sentence):
        read_weights(tmp_path / "w.pt")


def test_missing_torn_and_foreign_files(tmp_path, model):
    with pytest.raises(InputError, match="does not exist"):
        read_weights(tmp_path / "none.pt")
    save_file(model.state_dict(), tmp_path / "torn.safetensors")
    whole = (tmp_path / "torn.safetensors").read_bytes()
    (tmp_path / "torn.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"torn\.safetensors is damaged"):
        read_weights(tmp_path / "torn.safetensors")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(InputError, match=r"text\.pt"):
        read_weights(tmp_path / "text.pt")


def test_the_head_tells_the_number_of_classes(tmp_path, model):
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    found = open_checkpoint(
        tmp_path / "w.safetensors",
        CPU,
        arch="small_resnet",
        image_size=32,
        normalization="half",
    )
    assert (found.outputs, found.classes, found.image_size, found.run) == (4, None, 32, None)
    assert not found.model.training
    images = torch.randn(2, 3, 32, 32)
    assert torch.allclose(found.model(images), model.eval()(images), atol=1e-5)


def test_another_architecture_is_told_by_its_first_difference(tmp_path, model):
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"w\.safetensors does not fit resnet18"):
        open_checkpoint(tmp_path / "w.safetensors", CPU, arch="resnet18", image_size=32)
    state = model.state_dict()
    first = next(iter(state))
    del state[first]
    save_file(state, tmp_path / "part.safetensors")
    with pytest.raises(InputError, match=f"there is no {first}"):
        open_checkpoint(tmp_path / "part.safetensors", CPU, arch="small_resnet", image_size=32)


def test_an_architecture_must_be_known(tmp_path, model):
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="give --arch"):
        open_checkpoint(tmp_path / "w.safetensors", CPU)


def test_a_module_that_a_weights_file_names_is_not_imported(tmp_path, model, monkeypatch):
    marker = tmp_path / "ran"
    (tmp_path / "evil_module.py").write_text(f"open({str(marker)!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    path, facts = tmp_path / "w.safetensors", {"arch": "evil_module:make", "image_size": 32}
    save_file(model.state_dict(), path, {"sib": json.dumps(facts)})
    with pytest.raises(InputError, match="names the architecture 'evil_module:make', whose module"):
        open_checkpoint(path, CPU)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ([], "are not an object"),
        ({"arch": 3}, "its arch is not a name"),
        ({"image_size": "32"}, "its image_size must be from 1 to 8192; got '32'"),
        ({"image_size": 10**9}, "its image_size must be from 1 to 8192"),
        ({"classes": 4}, "its classes are not a list of names"),
        ({"classes": [1, 2, 3, 4]}, "its classes are not a list of names"),
        ({"classes": ["a"]}, "it names 1 classes and has 4"),
        ({"normalization": ["half"]}, "its normalization must be"),
    ],
)
def test_a_damaged_header(tmp_path, model, facts, sentence):
    whole = {"arch": "small_resnet", "image_size": 32} | facts if isinstance(facts, dict) else facts
    path = tmp_path / "w.safetensors"
    save_file(model.state_dict(), path, {"sib": json.dumps(whole)})
    with pytest.raises(InputError, match=sentence):
        open_checkpoint(path, CPU)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: {"net": model.state_dict(), "epoch": 3},
        lambda model: SpatialIBTask(model).state_dict(),
        lambda model: {
            "state_dict": {f"model.{key}": value for key, value in model.state_dict().items()},
            "pytorch-lightning_version": "2.4",
        },
        lambda model: {
            f"_orig_mod.module.model.{key}": value for key, value in model.state_dict().items()
        },
    ],
)
def test_evaluation_opens_what_other_loops_save(tmp_path, model, wrap):
    torch.save(wrap(model), tmp_path / "w.ckpt")
    options = {"arch": "small_resnet", "image_size": 32, "normalization": "imagenet"}
    found = open_checkpoint(tmp_path / "w.ckpt", CPU, **options)
    assert (found.outputs, found.normalization_source) == (4, "as given")
    images = torch.randn(2, 3, 32, 32)
    assert torch.allclose(found.model(images), model.eval()(images), atol=1e-5)


def test_a_missing_head_is_named_with_what_is_near(tmp_path, model):
    state = {key.replace("head", "heads"): value for key, value in model.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"there is no head\.\w+, the head, perhaps heads\."):
        open_checkpoint(tmp_path / "w.safetensors", CPU, arch="small_resnet", image_size=32)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<html>404</html>", "is not a file of weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\n", "git lfs pull"),
    ],
)
def test_what_else_lies_under_the_name_of_weights(tmp_path, content, reason):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read_weights(path)


def test_torchscript_is_refused_without_advice_to_run_it(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(path))
    with pytest.raises(InputError, match="is TorchScript") as refused:
        read_weights(path)
    assert "weights_only" not in str(refused.value)


@pytest.mark.parametrize("keys", [("weights",), ("params",), ("checkpoint", "model")])
def test_weights_below_further_keys(tmp_path, keys):
    content = torch.nn.Linear(2, 2).state_dict()
    for key in reversed(keys):
        content = {key: content, "epoch": 3}
    torch.save(content, tmp_path / "model.pt")
    assert set(read_weights(tmp_path / "model.pt")[0]) == {"weight", "bias"}


def test_an_average_beside_nothing_else_is_read(tmp_path):
    weights = {"fc.bias": torch.ones(2)}
    torch.save({"epoch": 3, "model_ema": weights}, tmp_path / "average.pt")
    assert read_weights(tmp_path / "average.pt")[0].keys() == weights.keys()
    torch.save({"model_ema": {"fc.bias": torch.zeros(2)}, "model": weights}, tmp_path / "both.pt")
    state, facts = read_weights(tmp_path / "both.pt")
    assert state["fc.bias"].sum() == 2
    assert facts == {"part": "those under 'model'; those under 'model_ema' are not used"}


def prefixed(state, prefix):
    return {prefix + name: value for name, value in state.items()}


def test_of_a_student_and_its_teacher_the_teacher_is_taken(tmp_path):
    student, teacher = SmallResNet(2).state_dict(), SmallResNet(2).state_dict()
    body = [name for name in teacher if not name.startswith("head.")]
    content = {  # as DINO writes it
        "student": prefixed({name: student[name] for name in body}, "module.backbone."),
        "teacher": prefixed({name: teacher[name] for name in body}, "backbone."),
        "args": argparse.Namespace(arch="vit_small"),
    }
    torch.save(content, tmp_path / "dino.pth")
    start = read_start(tmp_path / "dino.pth", "small_resnet")
    assert start.part == "those under 'teacher'; those under 'student' are not used"
    assert start.describe()["part"] == start.part
    built = build("small_resnet", 2, 32, weights=tmp_path / "dino.pth").state_dict()
    assert all(torch.equal(built[name], teacher[name]) for name in body)
    torch.save({"student": student, "teacher": teacher}, tmp_path / "pair.pth")
    checkpoint = open_checkpoint(
        tmp_path / "pair.pth", CPU, arch="small_resnet", image_size=32, normalization="half"
    )
    assert "weights: those under 'teacher'; those under 'student' are not used" in checkpoint.input
    assert checkpoint.record()["weights_part"] == checkpoint.part


def test_a_student_and_a_teacher_of_other_networks_are_refused(tmp_path):
    content = {"student": {"fc.bias": torch.ones(2)}, "teacher": {"fc.bias": torch.ones(3)}}
    torch.save(content, tmp_path / "pair.pth")
    with pytest.raises(InputError, match="save the weights of one of them alone"):
        read_weights(tmp_path / "pair.pth")


@pytest.mark.parametrize(("first", "second"), [("student.", "teacher."), ("model.", "ema_model.")])
def test_weights_that_are_there_twice_are_refused(tmp_path, first, second):
    state = SmallResNet(2).state_dict()
    torch.save(
        {"state_dict": prefixed(state, first) | prefixed(state, second)}, tmp_path / "a.ckpt"
    )
    with pytest.raises(InputError, match=f"holds the weights twice, under {first} and {second}"):
        build("small_resnet", 2, 32, weights=tmp_path / "a.ckpt")


def test_names_that_occur_in_every_block_are_not_a_copy(tmp_path):
    """Weights of an EfficientNet for a ResNet: bn1 is at the top of both, and in each block."""
    state = {f"{block}bn1.{name}": torch.ones(4) for block in ("", "blocks.0.") for name in "abc"}
    own = {f"bn1.{name}" for name in "abc"} | {f"layer{n}.weight" for n in range(4)}
    found, _ = match_names(state, own, "a.pt")
    check_for_copies(found, own, state, "a.pt")
    with pytest.raises(InputError, match="holds the weights twice"):
        check_for_copies(found, list(found), state, "a.pt")


@pytest.mark.parametrize("value", [np.float64(0.5), np.array(["cat", "dog"])])
def test_numbers_of_numpy_are_named_with_what_to_do(tmp_path, value):
    torch.save({"state_dict": {"fc.bias": torch.ones(2)}, "best": value}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"NumPy .* save model\.state_dict\(\) alone") as refused:
        read_weights(tmp_path / "a.pt")
    assert "weights_only" not in str(refused.value)


def test_a_file_that_is_cut_off(tmp_path):
    path = tmp_path / "whole.pt"
    torch.save({"fc.bias": torch.ones(9000)}, path)
    for kept in (100, 5000, 20000):
        (tmp_path / "cut.pt").write_bytes(path.read_bytes()[:kept])
        with pytest.raises(InputError, match="is damaged and cannot be read"):
            read_weights(tmp_path / "cut.pt")


STATE = {"fc.weight": torch.ones(2, 3), "fc.bias": torch.zeros(2)}


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"best_model": STATE, "epoch": 3}, "best_model"),
        ({"state": {"model": STATE, "optimizer": {"state": {}}}, "x": 1}, "state"),
        ({"netG": STATE, "optimizer": {"state": {}, "param_groups": []}}, "netG"),
    ],
)
def test_the_only_weights_under_an_unusual_key_are_taken(content, key, tmp_path):
    torch.save(content, tmp_path / "a.pt")
    found, facts = read_weights(tmp_path / "a.pt")
    assert set(found) == set(STATE) and torch.equal(found["fc.weight"], STATE["fc.weight"])
    assert facts["part"] == f"those under {key!r}, the only ones in the file"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"netG": STATE, "netD": STATE}, "weights of several networks, under 'netG' and 'netD'"),
        (STATE | {"fc.bias": torch.zeros(2).to("meta")}, "fc.bias is a tensor that is without val"),
        (STATE | {"fc.bias": torch.zeros(2).to_sparse()}, "fc.bias is a tensor that is sparse"),
        (
            STATE | {"fc.bias": torch.zeros(2).to(torch.float8_e4m3fn)},
            "fc.bias holds float8_e4m3fn, which needs scales that are kept elsewhere",
        ),
    ],
)
def test_several_networks_and_tensors_without_values_are_refused(content, sentence, tmp_path):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(InputError, match=sentence):
        read_weights(tmp_path / "a.pt")
