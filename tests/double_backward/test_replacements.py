"""The replaced functions compute what torch computes, once, and twice differentiated."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import sib
from helpers.processes import apart
from helpers.twice import draw, inside, vjp
from sib.double_backward import second_order
from sib.models import build

GEOMETRIES = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": (2, 0), "dilation": (1, 2)},
    {"groups": 2, "padding": 1},
    {"stride": (1, 2), "bias": False},
]

OTHER_KINDS = [
    "efficientnet_b0",
    "timm/tf_efficientnet_lite0",
    "mobilenet_v3_large",
    "convnext_tiny",
    "swin_t",
    "timm/vit_small_patch16_224",
]
"""Networks with depthwise convolutions, smooth activations, squeeze-excitation or layer norm."""


@pytest.mark.parametrize("options", GEOMETRIES, ids=str)
def test_convolution_has_exact_first_and_second_derivatives(options):
    options = dict(options)
    bias = draw(4) if options.pop("bias", True) else None
    inputs = (draw(2, 2 * options.get("groups", 1), 5, 4), draw(4, 2, 3, 2), bias)
    function = inside(lambda x, w, b: F.conv2d(x, w, b, **options))
    assert torch.equal(function(*inputs), F.conv2d(*inputs, **options))
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)
    assert torch.autograd.gradcheck(vjp(function), inputs)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(3, 2, 4, 3), (4, 3, 5)])
def test_batch_norm_has_exact_first_and_second_derivatives(affine, shape):
    weights = (draw(shape[1]), draw(shape[1])) if affine else (None, None)
    inputs = (draw(*shape), *weights)

    def function(x, weight, bias):
        return F.batch_norm(x, None, None, weight, bias, training=True)

    torch.testing.assert_close(inside(function)(*inputs), function(*inputs), rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(inside(function), inputs)
    assert torch.autograd.gradcheck(vjp(inside(function)), inputs)


def test_batch_norm_with_a_zero_weight_stays_finite():
    """Residual networks may start their last batch norm at γ = 0."""
    x, weight, bias = draw(3, 2, 4, 4), torch.zeros(2).double().requires_grad_(), draw(2)
    function = inside(lambda *a: F.batch_norm(a[0], None, None, a[1], a[2], training=True))
    R = vjp(function)(x, weight, bias)
    (gradient,) = torch.autograd.grad((R + torch.randn_like(R)).square().sum(), weight)
    assert gradient.isfinite().all() and gradient.any()


def test_running_statistics_are_torchs_own():
    x = torch.randn(4, 3, 5, 5)
    ours, torchs = nn.BatchNorm2d(3, momentum=0.3), nn.BatchNorm2d(3, momentum=0.3)
    with second_order():
        ours(x)
    torchs(x)
    for a, b in zip(ours.buffers(), torchs.buffers(), strict=True):
        assert torch.equal(a, b)


def test_a_single_value_per_channel_is_refused_as_torch_does():
    with second_order(), pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm2d(3)(torch.randn(1, 3, 1, 1, requires_grad=True))


def test_third_derivatives_of_batch_norm_are_refused():
    x = draw(3, 2, 3, 3)
    R = vjp(inside(lambda a: F.batch_norm(a, None, None, training=True)))(x)
    (second,) = torch.autograd.grad(R.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second.sum().backward()


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_concatenation_has_exact_first_and_second_derivatives(dim):
    shapes = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
    shapes[1][dim] = 1
    inputs = tuple(draw(*shape) for shape in shapes)
    function = inside(lambda *tensors: torch.cat(tensors, dim) ** 2)
    assert torch.equal(inside(lambda *t: torch.cat(t, dim))(*inputs), torch.cat(inputs, dim))
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)
    assert torch.autograd.gradcheck(vjp(function), inputs)


def test_other_calls_of_cat_are_left_to_torch():
    a, b = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3)
    with second_order():
        assert torch.equal(torch.cat([torch.empty(0), a]), a)
        assert torch.equal(torch.cat([a]), a)
        assert torch.cat([a, b.double()]).dtype == torch.float64
        assert torch.equal(torch.cat([a.long(), b.long()]), torch.cat([a.long(), b.long()]))
        with torch.no_grad():
            out = torch.empty(4, 3)
            assert torch.cat((a, b), dim=0, out=out) is out


def test_cat_takes_numpys_name_of_the_dimension():
    a, b = draw(2, 3), draw(2, 1)
    function = inside(lambda *tensors: torch.cat(tensors, axis=1))
    assert torch.equal(function(a, b), torch.cat([a, b], dim=1))
    assert torch.autograd.gradgradcheck(function, (a, b))


@pytest.mark.parametrize(
    ("input", "padding"), [((3, 8, 8), 1), ((2, 3, 8, 8), "same"), ((2, 3, 8, 8), "valid")]
)
def test_other_calls_of_conv2d_are_left_to_torch(input, padding):
    x, weight = torch.randn(*input), torch.randn(4, 3, 3, 3)
    with second_order():
        y = F.conv2d(x, weight, padding=padding)
    assert torch.equal(y, F.conv2d(x, weight, padding=padding))


def gradients(task, images, labels, plain, monkeypatch):
    if plain:
        # torch has no second derivative of hardsigmoid
        formula = {F.hardsigmoid: lambda scope, func, x, inplace=False: F.relu6(x + 3) / 6}
        monkeypatch.setattr("sib.double_backward.scope._REPLACEMENTS", formula)
    torch.manual_seed(1)  # dropout and dropped paths
    task.zero_grad()
    task.backward(task(images, labels).loss)
    monkeypatch.undo()
    return torch.cat([p.grad.flatten() for p in task.parameters()])


def slow(*names):
    """Architectures that make torture takes."""
    return [pytest.param(name, marks=pytest.mark.torture) for name in names]


@pytest.mark.parametrize(
    "name", ["small_resnet", *slow("resnet18", "resnet50", "densenet121", "vit_b_32")]
)
def test_the_step_is_the_one_of_plain_torch(name, monkeypatch):
    """Float64, all parameters: our derivatives against torch's own."""
    task = sib.SpatialIBTask(build(name, 5, 64).double(), sib.SpatialIB(1.0, 1e7))
    images, labels = torch.randn(3, 3, 64, 64).double(), torch.tensor([0, 1, 4])
    ours = gradients(task, images, labels, False, monkeypatch)
    torchs = gradients(task, images, labels, True, monkeypatch)
    assert (ours - torchs).norm() <= 1e-10 * torchs.norm()


@pytest.mark.parametrize("batch_norm", ["train", "frozen"])
@pytest.mark.parametrize(
    "name",
    [
        "helpers.nets:small_densenet",
        "timm/test_efficientnet",
        *slow("resnet18", "densenet121", *OTHER_KINDS),
    ],
)
def test_the_step_of_every_kind_of_network_is_the_one_of_plain_torch(name, batch_norm, monkeypatch):
    """Float64, all parameters, with weights that no longer are those of the start."""
    model = build(name, 5, 64).double()
    options = {"batch_norm": batch_norm, "validate": False}
    task = sib.SpatialIBTask(model, sib.SpatialIB(1.0, 1e7), **options)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(noise, alpha=0.01)
    if batch_norm == "frozen" and not any(isinstance(m, nn.BatchNorm2d) for m in model.modules()):
        task.eval()  # the other kind of step that such a network has: without dropped paths
    images = torch.randn(3, 3, 64, 64, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 4])
    ours = gradients(task, images, labels, False, monkeypatch)
    torchs = gradients(task, images, labels, True, monkeypatch)
    assert torchs.norm() > 0
    assert (ours - torchs).norm() <= 1e-10 * torchs.norm()


IN_LOWER_PRECISION = [
    (name, "float32") for name in ("resnet18", "resnet50", "densenet121", "vit_b_32", *OTHER_KINDS)
]
IN_LOWER_PRECISION += [(n, "bfloat16") for n in ("resnet18", "mobilenet_v3_large", OTHER_KINDS[-1])]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("small_resnet", "float32"),
        ("helpers.nets:small_densenet", "float32"),
        ("mobilenet_v3_small", "bfloat16"),
    ]
    + [pytest.param(*each, marks=pytest.mark.torture) for each in IN_LOWER_PRECISION],
)
def test_the_step_is_the_one_of_plain_torch_in_lower_precision(name, kind, monkeypatch):
    task = sib.SpatialIBTask(build(name, 5, 64).eval(), sib.SpatialIB(1.0, 1e6))
    images, labels = torch.randn(8, 3, 64, 64), torch.randint(5, (8,))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "bfloat16"):
        ours = gradients(task, images, labels, False, monkeypatch)
        torchs = gradients(task, images, labels, True, monkeypatch)
    tolerance = 1e-5 if kind == "float32" else 0.05
    assert (ours - torchs).norm() <= tolerance * torchs.norm()


def test_plain_backward_of_the_task_skips_the_images_as_well(monkeypatch):
    """`out.loss.backward()` knows that nobody can read the gradient of the task's own images."""
    masks = []
    from sib.double_backward import convolution

    original = convolution.Geometry.backward

    def watch(self, gy, x, weight, mask):
        masks.append((x.shape[1], mask))
        return original(self, gy, x, weight, mask)

    monkeypatch.setattr(convolution.Geometry, "backward", watch)
    task = sib.SpatialIBTask(build("small_resnet", 5, 32), sib.SpatialIB(1.0, 1e6))
    out = task(torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3]))
    masks.clear()
    out.loss.backward()
    of_images = [mask for channels, mask in masks if channels == 3]
    assert of_images and all(not mask[0] for mask in of_images)


def test_a_plain_loop_still_gets_the_gradient_of_its_images():
    images = torch.randn(4, 3, 32, 32, requires_grad=True)
    model = build("small_resnet", 5, 32)
    with second_order():
        logits = model(images)
    (logits.sum() + sib.SpatialIB()(logits, images).loss).backward()
    assert images.grad is not None and images.grad.any()


def test_torch_func_keeps_torchs_derivatives():
    weight = torch.randn(2, 1, 3, 3)
    x = torch.randn(1, 1, 5, 5)
    with second_order():
        ours = torch.func.grad(lambda w: F.conv2d(x, w).square().sum())(weight)
    expected = torch.func.grad(lambda w: F.conv2d(x, w).square().sum())(weight)
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("hooks", ["checkpoint", "save on CPU"])
def test_saved_tensor_hooks_of_the_model_keep_working(hooks):
    """Checkpointing runs a stage again in the backward pass, and must meet the same functions."""
    model = build("small_resnet", 5, 32)
    task = sib.SpatialIBTask(model, sib.SpatialIB(1.0, 1e6))
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])
    task.backward(task(images, labels).loss)
    expected = torch.cat([p.grad.flatten() for p in model.parameters()])
    task.zero_grad()

    stage = model.stages[1]
    original = stage.forward
    if hooks == "checkpoint":
        stage.forward = lambda x: checkpoint(original, x, use_reentrant=False)
        task.backward(task(images, labels).loss)
    else:
        with torch.autograd.graph.save_on_cpu():
            out = task(images, labels)
        task.backward(out.loss)
    found = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert (found - expected).norm() <= 1e-5 * expected.norm()


def test_normalize_is_torchs_and_finite_at_zero():
    x = torch.randn(4, 3, dtype=torch.float64)
    x[2] = 0
    x.requires_grad_(True)
    function = inside(lambda a: F.normalize(a, dim=1))
    torch.testing.assert_close(function(x), F.normalize(x, dim=1), rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(vjp(function), (x.detach()[:2].requires_grad_(),))
    R = vjp(function)(x)
    (gradient,) = torch.autograd.grad(R[:2].square().sum(), x)
    assert gradient.isfinite().all()


def test_normalize_takes_an_eps_whose_square_is_zero():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    assert torch.equal(inside(lambda a: F.normalize(a, eps=1e-30))(x), F.normalize(x, eps=1e-30))


@apart
def test_a_model_with_padded_tokens_has_finite_gradients():
    """Swin v2 normalises queries and keys, of which those in the padding are zero."""
    task = sib.SpatialIBTask(build("swin_v2_t", 3, 64), sib.SpatialIB(1.0, 1e4))
    task.backward(task(torch.randn(2, 3, 64, 64), torch.tensor([0, 1])).loss)
    assert all(p.grad is None or p.grad.isfinite().all() for p in task.parameters())
