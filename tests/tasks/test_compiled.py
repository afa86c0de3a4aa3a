"""The compiled step is the eager step."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

import sib
from helpers.nets import batch_norm_net, group_norm_net, small_vit
from sib.models import SmallResNet, build

BACKEND = "aot_eager"
"""Traces and differentiates as Inductor does, and needs no C++ compiler."""


def problem(model, objective=None, dtype=torch.float32, side=16, batch=4, **options):
    objective = objective or sib.SpatialIB(1.0, 100.0, window_size=5)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, side, side, generator=generator, dtype=dtype)
    labels = torch.arange(batch) % 5
    eager = sib.SpatialIBTask(model.to(dtype), objective, **options)
    compiled = copy.deepcopy(eager)
    compiled.compile(backend=BACKEND)
    return eager, compiled, images, labels


def step(task, images, labels, micro_batch=1000):
    task.zero_grad()
    return sib.accumulate(task, images, labels, micro_batch)


def assert_same(eager, compiled, one, other, **tolerance):
    torch.testing.assert_close(other.loss, one.loss, **tolerance)
    torch.testing.assert_close(other.logits, one.logits, **tolerance)
    if one.terms is not None:
        torch.testing.assert_close(
            other.terms.reconstruction, one.terms.reconstruction, **tolerance
        )
    pairs = zip(eager.model.named_parameters(), compiled.model.parameters(), strict=True)
    for (name, ours), theirs in pairs:
        torch.testing.assert_close(theirs.grad, ours.grad, **tolerance, msg=name)
    pairs = zip(eager.model.named_buffers(), compiled.model.buffers(), strict=True)
    for (name, ours), theirs in pairs:
        torch.testing.assert_close(theirs, ours, **tolerance, msg=name)


def one_layer_vit():
    vit = VisionTransformer(16, 8, 1, 2, 16, 16, num_classes=5)
    nn.init.normal_(vit.heads.head.weight, std=0.5)
    return vit


@pytest.fixture(autouse=True)
def _loud(request):
    """No fallback goes unseen, and a test starts without the graphs of the others."""
    if "usual" not in request.fixturenames:
        torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the S-IB step cannot be compiled")
        yield


class Residual(nn.Module):
    """A block with batch norm and a shortcut."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 3, 2), nn.Linear(4, 5)
        self.inner = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))

    def forward(self, images):
        features = self.stem(images)
        return self.head((features + self.inner(features).relu()).mean(dim=(2, 3)))


@pytest.mark.parametrize(
    "make", [Residual, pytest.param(lambda: SmallResNet(5, 4), marks=pytest.mark.torture)]
)
def test_a_residual_network_in_float64(make):
    eager, compiled, images, labels = problem(make(), dtype=torch.float64)
    one, other = step(eager, images, labels), step(compiled, images, labels)
    assert_same(eager, compiled, one, other, rtol=1e-7, atol=1e-9)


@pytest.mark.torture
@pytest.mark.parametrize("arch", ["resnet18", "resnet50", "densenet121", "vit_b_32"])
def test_the_published_architectures(arch):
    model = build(arch, 5, 32)
    eager, compiled, images, labels = problem(model, dtype=torch.float64, side=32)
    one, other = step(eager, images, labels), step(compiled, images, labels)
    assert_same(eager, compiled, one, other, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    "make",
    [
        batch_norm_net,
        pytest.param(group_norm_net, marks=pytest.mark.torture),
        pytest.param(small_vit, marks=pytest.mark.torture),
    ],
)
def test_float32_over_steps_and_modes(make):
    eager, compiled, images, labels = problem(make())
    for mode in (True, True, False):
        eager.train(mode)
        compiled.train(mode)
        one, other = step(eager, images, labels), step(compiled, images, labels)
        assert_same(eager, compiled, one, other, rtol=1e-5, atol=1e-5)


def test_attention_in_float32():
    eager, compiled, images, labels = problem(one_layer_vit())
    one, other = step(eager, images, labels), step(compiled, images, labels)
    assert_same(eager, compiled, one, other, rtol=1e-5, atol=1e-5)


ALONE = [{"form": "exp"}, {"cotangent": "logits"}, {"mask": "hard"}]


@pytest.mark.parametrize(
    "options",
    [
        {"mask": "centred", "alignment": "ssim", "background": "magnitude"},
        {"mask": "area", "background": "hsic", "estimator": "unbiased"},
        {name: value for options in ALONE for name, value in options.items()},
        *(pytest.param(options, marks=pytest.mark.torture) for options in ALONE),
    ],
)
def test_other_objectives(options):
    objective = sib.SpatialIB(1.0, 10.0, window_size=5, **options)
    eager, compiled, images, labels = problem(batch_norm_net(), objective)
    one, other = step(eager, images, labels), step(compiled, images, labels)
    assert_same(eager, compiled, one, other, rtol=1e-5, atol=1e-5)


def test_a_projection_draws_the_same_numbers():
    found = []
    eager, compiled, images, labels = problem(batch_norm_net())
    for task in (eager, compiled):
        generator = torch.Generator().manual_seed(3)
        task.objective = sib.SpatialIB(window_size=5, projection_dim=4, generator=generator)
        if task is compiled:
            task.compile(backend=BACKEND)
        found.append(step(task, images, labels))
    assert_same(eager, compiled, *found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{"every_n_steps": 2}, {"fraction": 0.5}])
def test_cheaper_modes(options):
    eager, compiled, images, labels = problem(batch_norm_net(), batch=8, **options)
    for _ in range(2):
        one, other = step(eager, images, labels), step(compiled, images, labels)
        assert_same(eager, compiled, one, other, rtol=1e-5, atol=1e-5)


def test_micro_batches():
    eager, compiled, images, labels = problem(batch_norm_net())
    one, other = step(eager, images, labels, 2), step(compiled, images, labels, 2)
    assert_same(eager, compiled, one, other, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def usual():
    """One network and its compiled step for the tests that do not compare figures."""
    torch._dynamo.reset()
    eager, compiled, images, labels = problem(batch_norm_net())
    compiled(images, labels)
    return eager, compiled, images, labels


def test_two_gradients_of_one_step(usual):
    _, compiled, images, labels = usual
    out = compiled(images, labels)
    parameters = list(compiled.model.parameters())
    first = torch.autograd.grad(out.terms.loss, parameters, retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(out.terms.loss, parameters, allow_unused=True)
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_bfloat16_stays_near_the_eager_step():
    eager, compiled, images, labels = problem(batch_norm_net(), batch=8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        one, other = step(eager, images, labels), step(compiled, images, labels)
    torch.testing.assert_close(other.cross_entropy, one.cross_entropy, rtol=0.02, atol=0.02)
    a, b = (
        torch.cat([p.grad.flatten() for p in task.model.parameters()]) for task in (eager, compiled)
    )
    assert torch.cosine_similarity(a, b, dim=0) > 0.99


def test_the_model_is_left_as_it_is(usual):
    eager, compiled, images, labels = usual
    step(compiled, images, labels)
    assert list(compiled.state_dict()) == list(eager.state_dict())
    assert compiled.model.state_dict().keys() == batch_norm_net().state_dict().keys()
    assert not images.requires_grad and images.grad is None


def test_labels_out_of_range_are_refused(usual):
    _, compiled, images, _ = usual
    with pytest.raises(ValueError, match="labels must lie in"):
        compiled(images, torch.tensor([0, 1, 2, 5]))


class LooksAtValues(nn.Module):
    """A model that looks at its values, which no graph can."""

    def __init__(self):
        super().__init__()
        self.inner = group_norm_net()

    def forward(self, images):
        return self.inner(images) * (2.0 if images.sum().item() > -1e9 else 1.0)


@pytest.mark.filterwarnings("default:the S-IB step cannot be compiled")
def test_what_cannot_be_compiled_says_so_and_runs():
    eager, compiled, images, labels = problem(LooksAtValues())
    one = step(eager, images, labels)
    with pytest.warns(UserWarning, match="cannot be compiled here and runs uncompiled: "):
        other = step(compiled, images, labels)
    assert_same(eager, compiled, one, other, rtol=1e-6, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(compiled, images, labels)  # said once
