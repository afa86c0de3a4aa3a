"""Every architecture that a name can call for."""

import pytest
import torch
from torch import nn

import sib
from helpers.processes import apart
from sib.models import architectures, build
from sib.models.build import head_names
from sib.utils.errors import InputError

PUBLISHED = ["resnet18", "resnet50", "densenet121", "vit_b_32"]
LARGE = pytest.param("vit_b_32", marks=pytest.mark.torture)  # test_gather.py steps a small one


@pytest.mark.parametrize("name", [*PUBLISHED[:3], LARGE, "small_resnet"])
@apart
def test_published_architectures_take_an_sib_step(name):
    model = build(name, num_classes=7, image_size=64)
    task = sib.SpatialIBTask(model, sib.SpatialIB(1.0, 1e6))
    out = task(torch.randn(4, 3, 64, 64), torch.tensor([0, 6, 3, 3]))
    assert out.logits.shape == (4, 7)
    assert out.terms.reconstruction.any()
    task.backward(out.loss)
    gradients = [p.grad for p in model.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("name", ["vgg11_bn", "squeezenet1_1", "mobilenet_v3_small", "googlenet"])
@apart
def test_other_torchvision_classifiers_take_an_sib_step(name):
    model = build(name, 3, 64).eval()
    if name == "vgg11_bn":  # whose two wide layers need gradients of half a gigabyte
        model.classifier = nn.Sequential(nn.Linear(512 * 49, 16), nn.ReLU(), nn.Linear(16, 3))
    task = sib.SpatialIBTask(model, sib.SpatialIB(1.0, 1e6))
    out = task(torch.randn(2, 3, 64, 64), torch.tensor([0, 2]))
    assert out.logits.shape == (2, 3)
    task.backward(out.loss)
    assert any(p.grad is not None and p.grad.any() for p in task.parameters())


@apart
def test_a_vit_starts_with_a_head_that_is_not_zero():
    model = build("vit_b_32", 5, 32)
    assert model.heads.head.weight.any()


def test_timm_models_are_built_by_name():
    pytest.importorskip("timm")
    model = build("timm/resnet10t", 4, 64)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 4)
    vit = build("timm/vit_tiny_patch16_224", 4, 64)
    task = sib.SpatialIBTask(vit, sib.SpatialIB(1.0, 1e6))
    task.backward(task(torch.randn(2, 3, 64, 64), torch.tensor([0, 1])).loss)
    assert vit.patch_embed.proj.weight.grad.any()


def test_names_are_torchvisions_classifiers_and_our_own():
    assert {*PUBLISHED, "small_resnet", "convnext_tiny"} <= set(architectures())


def test_random_weights_follow_the_seed():
    def head(seed):
        torch.manual_seed(seed)
        return build("resnet18", 3, 64).fc.weight

    assert torch.equal(head(1), head(1)) and not torch.equal(head(1), head(2))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("resnet81", 3, 64), "'resnet81' is unknown, perhaps resnet18"),
        (("timm/resnet10q", 3, 64), "timm has no model 'resnet10q', perhaps timm/resnet"),
        (("vit_b_32", 3, 100), "vit_b_32 does not take image_size 100"),
        (("densenet121", 3, 16), "densenet121 does not take image_size 16"),
        (("timm/xcit_nano_12_p16_224", 3, 50), "timm/xcit_.* does not take image_size 50: .*patch"),
        (("resnet18", 0, 64), "num_classes must be at least 1; got 0"),
        (("resnet18", 3, 0), "image_size must be at least 2; got 0"),
        (("deeplabv3_resnet50", 3, 64), "'deeplabv3_resnet50' is unknown"),
    ],
)
def test_bad_requests_are_told_in_one_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        build(*arguments)
    assert "\n" not in str(caught.value)


def test_a_model_of_ones_own_works_through_the_api():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 26 * 26, 2))
    task = sib.SpatialIBTask(model, sib.SpatialIB(window_size=5))
    task.backward(task(torch.randn(3, 1, 28, 28), torch.tensor([0, 1, 1])).loss)
    assert model[0].weight.grad.any()


def test_an_architecture_of_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(
        "from torch import nn\n"
        "def make(classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),\n"
        "                         nn.Linear(4, classes))\n"
        "def wrong(classes):\n"
        "    return 3\n"
        "def broken(classes):\n"
        "    raise KeyError('width')\n"
    )
    monkeypatch.chdir(tmp_path)
    assert build("own_models:make", 5, 16)(torch.zeros(1, 3, 16, 16)).shape == (1, 5)
    for name, sentence in (
        ("own_models:wrong", "gives a int in place of an nn.Module"),
        ("own_models:broken", "cannot be made: KeyError: 'width'"),
        ("own_models:none", "cannot be made: AttributeError"),
        ("no_such_module:make", "cannot be made: ModuleNotFoundError"),
    ):
        with pytest.raises(InputError, match=sentence):
            build(name, 5, 16)


def scripted(num_classes):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes))
    return torch.jit.script(network)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_scripted_network_is_refused():
    with pytest.raises(InputError, match=r"test_build:scripted is TorchScript, whose layers"):
        build(f"{__name__}:scripted", 2, 16)


def test_a_head_of_another_name_for_two_classes_is_the_head():
    """It ended in a KeyError."""
    found = head_names("helpers.nets:another_head_for_two", 32)
    assert found == {"logit.weight", "logit.bias", "head.weight", "head.bias"}
