"""Trained weights to start from: files of every kind, published ones, and refusals."""

import argparse
import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
import torchvision.models
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from sib.models import build, pretrained
from sib.models.build import build_from, head_names
from sib.models.names import PREFIXES, match_names
from sib.models.start import Start, read_start
from sib.tasks.shorthand import SpatialIBTask
from sib.utils.errors import InputError


def small(classes=4):
    return build("small_resnet", classes, 32)


def same_body(model, other):
    own, theirs = model.state_dict(), other.state_dict()
    head = head_names("small_resnet", 32)
    return all(torch.equal(own[key], theirs[key]) for key in own if key not in head)


WRAPPINGS = {
    "plain": lambda state: state,
    "ddp": lambda state: {f"module.{key}": value for key, value in state.items()},
    "lightning": lambda state: {
        "state_dict": {f"model.{key}": value for key, value in state.items()},
        "hyper_parameters": {"lr": 0.1},
        "epoch": 3,
    },
    "net": lambda state: {"net": state, "acc": 0.9},
    "compiled": lambda state: {
        "model_state_dict": {f"_orig_mod.module.{key}": value for key, value in state.items()}
    },
    "backbone": lambda state: {
        "state_dict": {f"module.backbone.{key}": value for key, value in state.items()}
    },
    "timm": lambda state: {"state_dict": state, "args": argparse.Namespace(lr=0.1), "version": 2},
}


@pytest.mark.parametrize("kind", WRAPPINGS)
def test_files_of_other_loops(tmp_path, kind):
    source, path = small(7), tmp_path / "weights.ckpt"
    torch.save(WRAPPINGS[kind](source.state_dict()), path)
    start = read_start(path, "small_resnet")
    model, taken = build_from(start, "small_resnet", 4, 32)
    assert same_body(model, source)
    assert sorted(taken.new) == sorted(head_names("small_resnet", 32))
    total = len(model.state_dict())
    assert str(taken).startswith(f"{total - len(taken.new)} of {total} tensors; new: ")


def test_the_state_of_our_own_task(tmp_path):
    source = small()
    torch.save(SpatialIBTask(source).state_dict(), tmp_path / "task.pt")
    model = build("small_resnet", 4, 32, weights=tmp_path / "task.pt")
    assert all(
        torch.equal(value, source.state_dict()[key]) for key, value in model.state_dict().items()
    )


def test_a_head_is_taken_for_the_same_classes_only(tmp_path):
    source = small()
    facts = {"classes": ["a", "b", "c", "d"], "normalization": "imagenet", "image_size": 40}
    save_file(source.state_dict(), tmp_path / "w.safetensors", {"sib": json.dumps(facts)})
    start = read_start(tmp_path / "w.safetensors", "small_resnet")
    assert (start.normalization, start.normalization_source) == ("imagenet", "its header")
    assert start.image_size == 40
    same, taken = build_from(start, "small_resnet", 4, 32, list("abcd"))
    assert taken.new == []
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(same.eval()(images), source.eval()(images))
    _, taken = build_from(start, "small_resnet", 4, 32, list("abce"))
    assert set(taken.new) == head_names("small_resnet", 32)


def test_a_new_linear_head_starts_as_linear_layers_do():
    state = torchvision.models.resnet18(num_classes=1000).state_dict()
    model, taken = build_from(read_start_from(state), "resnet18", 3, 64)
    assert taken.new == ["fc.weight", "fc.bias"]
    assert model.fc.weight.abs().max() <= 1 / 512**0.5


def read_start_from(state):
    """A start as `read_start` gives it, without a file."""
    return Start(state, "w.pt", "half", "its header", None, "crop", "the default", None, None, None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: {k: v for k, v in s.items() if "layer4" not in k}, "at least 90% are needed"),
        (
            lambda s: s | {"conv1.weight": torch.zeros(64, 1, 7, 7)},
            r"shape \(64, 1, 7, 7\) in place",
        ),
        (
            lambda s: s | {"bn1.weight": torch.full((64,), torch.nan)},
            "NaN or infinite .* bn1.weight",
        ),
        (
            lambda s: s | {"bn1.running_var": torch.full((64,), -1.0)},
            "negative variance in bn1.running_var",
        ),
        (
            lambda s: s | {"bn1.weight": torch.ones(64, dtype=torch.int8)},
            "int8 in place of torch.float32; give the weights from before quantisation",
        ),
        (lambda s: {k: v for k, v in s.items() if "running" not in k}, "running statistic"),
        (lambda s: s | {"layer9.w": torch.zeros(10**7)}, "of its parameters are part of it"),
        (lambda s: s | {"model.fc.bias": s["fc.bias"]}, "two tensors for fc.bias"),
        (lambda s: {k.replace("conv", "cnv"): v for k, v in s.items()}, "perhaps "),
    ],
)
def test_refusals(change, sentence):
    state = torchvision.models.resnet18(num_classes=5).state_dict()
    with pytest.raises(InputError, match=sentence):
        build_from(read_start_from(change(state)), "resnet18", 3, 64)


def test_a_deeper_network_of_the_same_family_is_refused_both_ways():
    for file, arch in (("resnet34", "resnet18"), ("resnet18", "resnet34")):
        state = torchvision.models.get_model(file, num_classes=5).state_dict()
        with pytest.raises(InputError, match=f"does not fit {arch}: "):
            build_from(read_start_from(state), arch, 3, 64)


def test_never_by_order():
    state = torchvision.models.resnet18(num_classes=5).state_dict()
    renamed = {f"tensor{place}": value for place, value in enumerate(state.values())}
    with pytest.raises(InputError, match="it holds 0% of the body's parameters"):
        build_from(read_start_from(renamed), "resnet18", 3, 64)


def test_weights_without_their_counters_and_in_half_precision():
    source = torchvision.models.resnet18(num_classes=5)
    state = {key: value.half() for key, value in source.state_dict().items() if "num_b" not in key}
    model, _ = build_from(read_start_from(state), "resnet18", 3, 64)
    assert torch.equal(model.conv1.weight, source.conv1.weight.half().float())


@given(
    st.lists(st.sampled_from(PREFIXES), max_size=4), st.lists(st.sampled_from(PREFIXES), max_size=2)
)
def test_prefixes_in_any_order_on_either_side(before, own):
    names = ["conv.weight", "fc.bias"]
    theirs, ours = "".join(before), "".join(own)
    found, left = match_names(
        [theirs + name for name in names] + [f"{theirs}extra.weight", "loss.margin"],
        [ours + name for name in names],
        "w.pt",
    )
    assert found == {ours + name: theirs + name for name in names}
    assert f"{theirs}extra.weight" in left
    assert ("loss.margin" in left) == (theirs == "")


def test_a_prefix_that_all_names_have_is_a_wrappers():
    ours = ["conv.weight", "fc.bias"]
    theirs = [f"encoder_q.trunk.model.{name}" for name in ours]
    assert match_names(theirs, ours, "w.pt") == (dict(zip(ours, theirs, strict=True)), [])
    found, _ = match_names([*theirs, "encoder_k.fc.bias"], ours, "w.pt")
    assert found == {}


def test_normalisation_is_that_of_the_architecture_or_not_known(tmp_path):
    torch.save(torchvision.models.resnet18(num_classes=4).state_dict(), tmp_path / "r.pt")
    start = read_start(tmp_path / "r.pt", "resnet18")
    assert start.normalization == "imagenet"
    assert start.normalization_source == "torchvision's configuration of resnet18"
    torch.save(small().state_dict(), tmp_path / "s.pt")
    assert read_start(tmp_path / "s.pt", "small_resnet").normalization is None
    assert (
        pretrained.published_facts("timm/tf_efficientnet_lite0").normalization["mean"] == [0.5] * 3
    )
    assert pretrained.published_facts("googlenet").normalization["std"] == [0.5] * 3


def squeezenet(tmp_path, monkeypatch, name):
    """The published weights of SqueezeNet, here random ones, under TORCH_HOME."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    source = torchvision.models.squeezenet1_1()
    torch.save(source.state_dict(), tmp_path / name)
    return source


def test_pretrained_from_torchs_cache(tmp_path, monkeypatch):
    name = "squeezenet1_1-b8a52dc0.pth"
    source = squeezenet(tmp_path, monkeypatch, name)
    folder = tmp_path / "home" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (tmp_path / name).rename(folder / name)
    start = read_start("pretrained", "squeezenet1_1")
    assert (start.normalization, start.image_size) == ("imagenet", 224)
    assert (start.resize, start.resize_source) == ("crop:0.875", start.normalization_source)
    model = build("squeezenet1_1", 3, 64, weights="pretrained")
    assert torch.equal(model.features[0].weight, source.features[0].weight)


@pytest.fixture
def server(tmp_path):
    """A local server of tmp_path, by its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def published_at(monkeypatch, url):
    weights = torchvision.models.SqueezeNet1_1_Weights.DEFAULT
    changed = argparse.Namespace(url=url, transforms=weights.transforms, meta=weights.meta)
    monkeypatch.setattr(pretrained, "_torchvision_weights", lambda name: changed)


def test_pretrained_from_a_server_is_checked_and_cached(tmp_path, monkeypatch, server):
    source = squeezenet(tmp_path, monkeypatch, "w.pth")
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()[:8]
    (tmp_path / "w.pth").rename(tmp_path / f"net-{digest}.pth")
    published_at(monkeypatch, f"{server}/net-{digest}.pth")
    state, file = pretrained.published_weights("squeezenet1_1", 64)
    assert file == f"net-{digest}.pth"
    assert torch.equal(state["features.0.weight"], source.features[0].weight)
    assert (tmp_path / "home" / "hub" / "checkpoints" / file).exists()
    (tmp_path / f"net-{digest}.pth").rename(tmp_path / "net-00000000.pth")
    published_at(monkeypatch, f"{server}/net-00000000.pth")
    with pytest.raises(InputError, match=r"cannot be downloaded .*hash"):
        pretrained.published_weights("squeezenet1_1", 64)


def test_without_a_network_the_file_and_its_place_are_named(tmp_path, monkeypatch, server):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    published_at(monkeypatch, f"{server}/absent-12345678.pth")
    with pytest.raises(InputError) as caught:
        pretrained.published_weights("squeezenet1_1", 64)
    message = str(caught.value)
    assert f"get it from {server}/absent-12345678.pth" in message
    assert f"put it into {tmp_path / 'home' / 'hub' / 'checkpoints'}" in message
    assert "\n" not in message


def test_timms_from_the_cache_of_the_hub(tmp_path, monkeypatch):
    timm, constants = pytest.importorskip("timm"), pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    with pytest.raises(
        InputError, match=r"get model.safetensors of https://huggingface.co/timm/res"
    ):
        read_start("pretrained", "timm/resnet10t")
    repository = timm.get_pretrained_cfg("resnet10t").hf_hub_id.replace("/", "--")
    snapshot = tmp_path / f"models--{repository}" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    source = timm.create_model("resnet10t")
    save_file(source.state_dict(), snapshot / "model.safetensors")
    model = build("timm/resnet10t", 3, 64, weights="pretrained")
    assert torch.equal(model.layer1[0].conv1.weight, source.layer1[0].conv1.weight)


def test_architectures_without_published_weights():
    with pytest.raises(InputError, match="small_resnet has no published weights"):
        build("small_resnet", 3, 32, weights="pretrained")
    with pytest.raises(InputError, match="'resnet81' is unknown"):
        build("resnet81", 3, 32, weights="pretrained")
