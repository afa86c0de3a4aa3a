"""SpatialIBTask and SpatialIB: the contract, the gradients, the refusals."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sib
from sib.models import SmallResNet


def batch(size=4, side=32, classes=5, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, side, side, generator=generator).to(dtype)
    return images, torch.randint(classes, (size,), generator=generator)


def gradients(model):
    return [None if p.grad is None else p.grad.clone() for p in model.parameters()]


def strong(**options):
    """An objective whose gradient is not drowned by cross-entropy's."""
    return sib.SpatialIB(foreground_weight=1.0, background_weight=1e8, window_size=9, **options)


@pytest.mark.parametrize("form", ["linear", "exp"])
def test_the_plain_loop_and_the_task_compute_the_same(form):
    images, labels = batch()
    objective = sib.SpatialIB(1.0, 1e3, window_size=9, form=form)
    loop_model, task_model = SmallResNet(5, 8), SmallResNet(5, 8)
    task_model.load_state_dict(loop_model.state_dict())

    x = images.clone().requires_grad_(True)
    with sib.second_order():
        logits = loop_model(x)
    terms = objective(logits, x)
    (F.cross_entropy(logits, labels) + terms.loss).backward()

    task = sib.SpatialIBTask(task_model, objective)
    out = task(images, labels)
    task.backward(out.loss)

    assert torch.equal(out.terms.loss, terms.loss)
    assert torch.equal(out.loss, out.cross_entropy + out.terms.loss)
    for a, b in zip(gradients(loop_model), gradients(task_model), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_backward_gives_parameters_a_gradient_and_images_none():
    images, labels = batch()
    task = sib.SpatialIBTask(SmallResNet(5, 8), strong())
    out = task(images, labels)
    task.backward(out.loss)
    assert images.grad is None and not images.requires_grad
    assert all(gradient is not None for gradient in gradients(task.model))


def test_backward_skips_the_double_backward_of_the_images():
    seen = []

    class Watch(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            seen.append(1)
            return gradient

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = SmallResNet(5, 8)

        def forward(self, x):
            return self.body(Watch.apply(x))

    images, labels = batch()
    task = sib.SpatialIBTask(Watched(), strong())
    out = task(images, labels)
    assert len(seen) == 1  # the VJP itself
    task.backward(out.loss)
    assert len(seen) == 1
    out = task(images, labels)
    out.loss.backward()
    assert len(seen) == 3  # the VJP, and the gradient nobody asked for


def test_accumulated_gradients_are_the_sum_of_two_steps():
    images, labels = batch()
    task = sib.SpatialIBTask(SmallResNet(5, 8).eval(), strong())
    task.backward(task(images, labels).loss)
    once = gradients(task.model)
    task.backward(task(images, labels).loss)
    for a, b in zip(once, gradients(task.model), strict=True):
        torch.testing.assert_close(2 * a, b, rtol=1e-5, atol=1e-6)


def test_batch_norm_statistics_advance_once_a_step():
    images, labels = batch()
    model = SmallResNet(5, 8)
    sib.SpatialIBTask(model, strong())(images, labels)
    counts = [b.item() for name, b in model.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts and set(counts) == {1}


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_couples_the_images_of_a_batch_in_train_mode_only(training):
    images, _ = batch()
    model = SmallResNet(5, 8).train(training)

    def first_reconstruction(others):
        x = torch.cat([images[:1], others]).requires_grad_(True)
        return sib.functional.reconstruct(model(x), x)[0]

    change = first_reconstruction(images[1:]) - first_reconstruction(images[1:].flip(-1) * 2)
    scale = first_reconstruction(images[1:]).norm()
    assert (change.norm() > 0.1 * scale) if training else (change.norm() < 1e-4 * scale)


def test_the_forms_report_the_same_information_near_the_start():
    """exp − 1 ≈ its argument: the losses differ from the linear form by second order only."""
    images, labels = batch(dtype=torch.float64)
    model = SmallResNet(5, 8).double()
    linear = sib.SpatialIBTask(model, sib.SpatialIB(window_size=9))(images, labels).terms
    exp = sib.SpatialIBTask(model, sib.SpatialIB(window_size=9, form="exp"))(images, labels).terms
    expected = 0.01 * (torch.exp(-linear.foreground) - 1) + 1000 * torch.expm1(linear.background)
    torch.testing.assert_close(exp.loss, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    "options",
    [
        {"mask": "hard"},
        {"mask": "centred"},
        {"mask": "area", "area": 0.3},
        {"alignment": "ssim"},
        {"background": "hsic"},
        {"background": "magnitude"},
        {"cotangent": "logits"},
        {"estimator": "unbiased"},
        {"projection_dim": 16},
        {"count_include_pad": False},
    ],
    ids=str,
)
def test_each_option_trains_and_differs_from_the_default(options):
    images, labels = batch()
    model = SmallResNet(5, 8)
    default = sib.SpatialIBTask(model, strong())(images, labels)
    task = sib.SpatialIBTask(model, strong(**options))
    out = task(images, labels)
    task.backward(out.loss)
    assert all(gradient.isfinite().all() for gradient in gradients(model))
    assert out.terms.loss.item() != default.terms.loss.item()


def test_the_projection_follows_its_generator():
    images, labels = batch()
    model = SmallResNet(5, 8)

    def loss(seed):
        generator = torch.Generator().manual_seed(seed)
        objective = strong(projection_dim=16, generator=generator)
        return sib.SpatialIBTask(model, objective)(images, labels).terms.foreground.item()

    assert loss(0) == loss(0) != loss(1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_models_are_computed_in_float32_after_the_logits(dtype):
    images, labels = batch(dtype=dtype)
    task = sib.SpatialIBTask(SmallResNet(5, 8).to(dtype), sib.SpatialIB(window_size=9))
    terms = task(images, labels).terms
    found = (*terms.values.values(), *terms.weighted.values(), terms.mask, terms.reconstruction)
    assert {t.dtype for t in found} == {torch.float32}
    assert all(t.isfinite().all() for t in found) and terms.background > 0


def test_bfloat16_autocast_stays_near_float32():
    images, labels = batch(size=8)
    model = SmallResNet(5, 8)
    task = sib.SpatialIBTask(model, sib.SpatialIB(window_size=9))
    exact = task(images, labels).terms
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = task(images, labels).terms
    assert rough.reconstruction.dtype == torch.float32
    cosine = F.cosine_similarity(exact.reconstruction.flatten(), rough.reconstruction.flatten(), 0)
    assert cosine > 0.98


def test_float16_scales_the_inner_gradient():
    """A VJP near 1e-6 lies under float16's smallest normal number; unscaled it would be noise."""
    images, _ = batch(side=16)
    weight = torch.randn(5, 3 * 256) * 1e-5
    exact = images.clone().requires_grad_(True)
    R = sib.functional.reconstruct(exact.flatten(1) @ weight.T, exact)
    half = images.half().requires_grad_(True)
    logits = half.flatten(1) @ weight.half().T
    torch.testing.assert_close(
        sib.functional.reconstruct(logits, half) / R.abs().max(),
        R / R.abs().max(),
        rtol=0,
        atol=0.05,
    )


def test_a_zero_head_is_warned_about_once():
    images, labels = batch()
    model = SmallResNet(5, 8)
    nn.init.zeros_(model.head.weight)
    task = sib.SpatialIBTask(model, strong())
    with pytest.warns(UserWarning, match="exactly zero"):
        task.backward(task(images, labels).loss)
    assert all(gradient.isfinite().all() for gradient in gradients(model))


def test_sync_batch_norm_is_refused_with_its_place():
    model = nn.SyncBatchNorm.convert_sync_batchnorm(SmallResNet(5, 8))
    with pytest.raises(ValueError, match=r"SyncBatchNorm \(at stem\.1\)"):
        sib.SpatialIBTask(model)


def test_a_compiled_model_is_refused():
    with pytest.raises(ValueError, match=r"torch\.compile"):
        sib.SpatialIBTask(torch.compile(SmallResNet(5, 8)))


class Attention(nn.Module):
    """One attention layer over 8 × 8 patches of a 32 × 32 image."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 8, 8)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return self.head(self.attend(tokens, tokens, tokens, need_weights=False)[0].mean(1))


def test_attention_is_differentiated_twice_by_the_task():
    images, labels = batch()
    task = sib.SpatialIBTask(Attention(), strong())
    task.backward(task(images, labels).loss)
    assert all(gradient.isfinite().all() for gradient in gradients(task.model))


def test_attention_outside_second_order_is_refused_with_the_way_out():
    images, _ = batch()
    images.requires_grad_(True)
    logits = Attention()(images)
    with pytest.raises(ValueError, match=r"with sib\.second_order"):
        strong()(logits, images)


def bad(images=None, labels=None):
    good_images, good_labels = batch()
    return (
        good_images if images is None else images(good_images),
        good_labels if labels is None else labels(good_labels),
    )


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (lambda x: x.index_fill(0, torch.tensor(1), torch.nan), None, "images must be finite"),
        (lambda x: x * torch.inf, None, "images must be finite"),
        (lambda x: x[0], None, r"images must be a non-empty \(B, C, H, W\)"),
        (lambda x: (x * 10).to(torch.uint8), None, "images must be floating point"),
        (None, lambda y: y + 5, r"labels must lie in \[0, 5\)"),
        (None, lambda y: y - 9, r"labels must lie in \[0, 5\)"),
        (None, lambda y: y[:2], "labels must be int64"),
        (None, lambda y: y.float(), "labels must be int64"),
        (lambda x: x[:1], lambda y: y[:1], "batch size of at least 2; got 1"),
    ],
)
def test_bad_batches_are_told_in_one_sentence(images, labels, sentence):
    task = sib.SpatialIBTask(SmallResNet(5, 8), strong())
    with pytest.raises(ValueError, match=sentence):
        task(*bad(images, labels))


def test_no_grad_is_refused():
    task = sib.SpatialIBTask(SmallResNet(5, 8), strong())
    with torch.no_grad(), pytest.raises(ValueError, match="no_grad"):
        task(*batch())


def test_a_window_larger_than_the_images_is_refused():
    task = sib.SpatialIBTask(SmallResNet(5, 8), sib.SpatialIB(window_size=33))
    with pytest.raises(ValueError, match="window_size must not exceed the image: 33"):
        task(*batch())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"foreground_weight": -1}, "foreground_weight"),
        ({"background_weight": float("nan")}, "background_weight"),
        ({"temperature": 0}, "temperature"),
        ({"slope": -1}, "slope"),
        ({"window_size": 0}, "window_size"),
        ({"window_size": 3.5}, "window_size must be a whole number"),
        ({"window_size": "31"}, "window_size must be a whole number"),
        ({"slope": "10"}, "slope must be a finite number"),
        ({"projection_dim": 0}, "projection_dim"),
        ({"form": "square"}, "form must be one of linear, exp"),
        ({"mask": "round"}, "mask must be one of"),
        ({"alignment": "l2"}, "alignment must be one of"),
        ({"background": "l2"}, "background must be one of"),
        ({"cotangent": "odds"}, "cotangent must be one of"),
        ({"estimator": "best"}, "estimator must be one of"),
        ({"area": 1.0}, "area"),
    ],
)
def test_bad_options_are_told_when_the_objective_is_made(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        sib.SpatialIB(**options)


def test_cross_entropy_task_is_the_plain_step():
    images, labels = batch()
    model = SmallResNet(5, 8).eval()
    out = sib.CrossEntropyTask(model)(images, labels)
    assert out.terms is None
    assert torch.equal(out.loss, F.cross_entropy(model(images), labels))


class WithTemplate(nn.Module):
    """Convolves a parameter, which is a leaf like the images."""

    def __init__(self):
        super().__init__()
        self.body, self.conv = SmallResNet(5, 8), nn.Conv2d(3, 5, 3)
        self.template = nn.Parameter(torch.randn(1, 3, 8, 8))

    def forward(self, x):
        return self.body(x) + self.conv(self.template).mean(dim=(2, 3))


@pytest.mark.parametrize("own", [True, False])
def test_a_parameter_that_is_convolved_gets_its_gradient(own):
    images, labels = batch()
    task = sib.SpatialIBTask(WithTemplate(), strong())
    loss = task(images, labels).loss
    task.backward(loss) if own else loss.backward()
    assert task.model.template.grad is not None and task.model.template.grad.any()


def test_float32_logits_of_a_float16_model_lose_nothing():
    images, _ = batch(side=16)
    weight = torch.randn(5, 3 * 256) * 1e-4
    exact = images.clone().requires_grad_(True)
    R = sib.functional.reconstruct(exact.flatten(1) @ weight.T, exact)
    x = images.clone().requires_grad_(True)
    logits = (x.half().flatten(1) @ weight.half().T).float()
    error = (sib.functional.reconstruct(logits, x) - R).norm() / R.norm()
    assert error < 0.01


def test_options_can_be_changed_and_take_effect():
    images, labels = batch()
    objective = strong()
    task = sib.SpatialIBTask(SmallResNet(5, 8), objective)
    before = task(images, labels).terms.mask
    objective.window_size = 3
    assert not torch.equal(task(images, labels).terms.mask, before)


def test_models_without_a_tensor_or_a_free_parameter_are_told():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    images, labels = batch()
    with pytest.raises(ValueError, match="one tensor of logits; got a tuple of"):
        sib.SpatialIBTask(Pair())(images, labels)
    task = sib.SpatialIBTask(SmallResNet(5, 8).requires_grad_(False), strong())
    with pytest.raises(ValueError, match="all are frozen"):
        task.backward(task(images, labels).loss)
