"""Micro-batches: the gradients are those of the whole batch."""

import copy

import pytest
import torch
from torch import nn

import sib
from helpers.nets import group_norm_net, small_vit
from sib.models import SmallResNet


def batch(size=10, side=16, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, side, side, generator=generator, dtype=torch.float64).to(dtype)
    return images, torch.randint(5, (size,), generator=generator)


def strong(**options):
    """An objective whose gradient is not drowned by cross-entropy's."""
    weights = {"foreground_weight": 1.0, "background_weight": 1e6} | options
    return sib.SpatialIB(window_size=7, **weights)


def gradient(module):
    return torch.cat([p.grad.flatten() for p in module.parameters()])


def whole(task, images, labels):
    task.zero_grad()
    out = task(images, labels)
    task.backward(out.loss)
    return out, gradient(task)


def in_parts(task, images, labels, micro_batch, **options):
    task.zero_grad()
    out = sib.accumulate(task, images, labels, micro_batch, **options)
    return out, gradient(task)


def assert_close(found, expected, tolerance):
    assert (found - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize("make", [group_norm_net, small_vit])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("micro_batch", [1, 4])
def test_gradients_and_terms_are_those_of_the_whole_batch(make, dtype, tolerance, micro_batch):
    task = sib.SpatialIBTask(make().to(dtype), strong())
    images, labels = batch(dtype=dtype)
    expected, wanted = whole(task, images, labels)
    found, got = in_parts(task, images, labels, micro_batch)
    assert_close(got, wanted, tolerance)
    assert not found.loss.requires_grad and found.logits.shape == (10, 5)
    for name, value in expected.terms.values.items():
        assert_close(found.terms.values[name], value, 100 * tolerance)
    assert_close(found.terms.reconstruction, expected.terms.reconstruction, 100 * tolerance)
    for name in ("loss", "cross_entropy", "logits"):
        assert_close(getattr(found, name), getattr(expected, name), 10 * tolerance)


@pytest.mark.parametrize(
    "options",
    [
        {"estimator": "unbiased"},
        {"form": "exp", "background_weight": 1e3},
        {"alignment": "ssim"},
        {"background": "hsic", "background_weight": 1.0},
        {"background": "magnitude", "background_weight": 1e3},
        {"mask": "hard"},
        {"mask": "centred"},
        {"cotangent": "logits", "background_weight": 1.0},
    ],
    ids=str,
)
def test_every_option_couples_the_batch_as_it_does_in_one_piece(options):
    task = sib.SpatialIBTask(group_norm_net().double(), strong(**options))
    images, labels = batch(dtype=torch.float64)
    _, wanted = whole(task, images, labels)
    _, got = in_parts(task, images, labels, 4)
    assert_close(got, wanted, 1e-10)


def test_the_terms_matter_and_the_mean_over_micro_batches_is_something_else():
    """What the tests above could not see if the terms were negligible."""
    task = sib.SpatialIBTask(group_norm_net().double(), strong(background_weight=0.0))
    images, labels = batch(dtype=torch.float64)
    _, wanted = whole(task, images, labels)
    separate = torch.zeros_like(wanted)
    for part in (slice(0, 5), slice(5, 10)):
        separate += 0.5 * whole(task, images[part], labels[part])[1]
    assert (separate - wanted).norm() > 1e-3 * wanted.norm()


def test_a_projection_is_drawn_once_for_the_batch():
    images, labels = batch(dtype=torch.float64)
    model = group_norm_net().double()
    found = []
    for run in (whole, lambda *args: in_parts(*args, 4)):
        generator = torch.Generator().manual_seed(3)
        task = sib.SpatialIBTask(model, strong(projection_dim=16, generator=generator))
        found.append((run(task, images, labels)[1], generator.get_state()))
    assert_close(found[1][0], found[0][0], 1e-10)
    assert torch.equal(found[0][1], found[1][1])


def test_cross_entropy_is_accumulated_plainly():
    task = sib.CrossEntropyTask(group_norm_net().double())
    images, labels = batch(dtype=torch.float64)
    expected, wanted = whole(task, images, labels)
    found, got = in_parts(task, images, labels, 3)
    assert_close(got, wanted, 1e-12)
    torch.testing.assert_close(found.loss, expected.loss.detach())
    assert found.terms is None


def test_gradients_are_added_to_those_that_are_there():
    task = sib.SpatialIBTask(group_norm_net().double(), strong())
    images, labels = batch(dtype=torch.float64)
    _, once = in_parts(task, images, labels, 4)
    sib.accumulate(task, images, labels, 4)
    assert_close(gradient(task), 2 * once, 1e-12)


def test_dropout_draws_the_same_in_both_passes_and_goes_on_afterwards():
    """The reference holds the graphs of all micro-batches at once, each drawn in its turn."""
    task = sib.SpatialIBTask(group_norm_net(dropout=0.3).double(), strong())
    images, labels = batch(dtype=torch.float64)
    torch.manual_seed(5)
    _, got = in_parts(task, images, labels, 5)
    after = torch.rand(1)

    torch.manual_seed(5)
    halves = [task.parts(images[i : i + 5], labels[i : i + 5]) for i in (0, 5)]
    expected_after = torch.rand(1)
    logits = torch.cat([logits for logits, _ in halves])
    pairs = zip(*(parts.tensors() for _, parts in halves), strict=True)
    parts = halves[0][1].with_tensors(torch.cat(pair) for pair in pairs)
    terms = task.objective.weighted_terms(parts)
    loss = nn.functional.cross_entropy(logits, labels) + terms.loss
    task.zero_grad()
    task.backward(loss)
    assert_close(got, gradient(task), 1e-10)
    assert torch.equal(after, expected_after)


def test_batch_norm_moves_once_for_each_micro_batch():
    model = SmallResNet(5, 8)
    plain = copy.deepcopy(model)
    images, labels = batch(side=32)
    sib.accumulate(sib.SpatialIBTask(model, strong()), images, labels, 4)
    for part in images.tensor_split(3):
        plain(part)
    counts = {b.item() for name, b in model.named_buffers() if name.endswith("tracked")}
    assert counts == {3}
    for a, b in zip(model.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_batch_that_fits_takes_the_plain_step():
    task = sib.SpatialIBTask(SmallResNet(5, 8), strong())
    images, labels = batch(side=32)
    _, wanted = whole(copy.deepcopy(task), images, labels)
    out, got = in_parts(task, images, labels, 10)
    assert torch.equal(got, wanted) and not out.loss.requires_grad


def test_what_is_watched_adds_up_to_the_batch():
    task = sib.SpatialIBTask(group_norm_net().double(), strong())
    images, labels = batch(dtype=torch.float64)
    seen = []
    out, _ = in_parts(task, images, labels, 4, watch=lambda each: seen.append(each.cross_entropy))
    assert len(seen) == 3
    torch.testing.assert_close(sum(seen), out.cross_entropy)


def test_autocast_is_for_the_forward_pass():
    task = sib.SpatialIBTask(group_norm_net(), strong())
    images, labels = batch()
    _, wanted = whole(task, images, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, got = in_parts(task, images, labels, 4)
    assert torch.cosine_similarity(got, wanted, 0) > 0.98
    assert not torch.equal(got, wanted)


def test_a_micro_batch_below_one_is_refused():
    with pytest.raises(ValueError, match="micro_batch must be a whole number of at least 1; got 0"):
        sib.accumulate(sib.SpatialIBTask(group_norm_net(), strong()), *batch(), 0)


@pytest.mark.parametrize(
    ("labels", "shape"), [(torch.arange(9) % 5, r"\(9,\)"), (torch.tensor(1), r"\(\)")]
)
def test_labels_of_another_batch_are_told_as_a_whole(labels, shape):
    with pytest.raises(ValueError, match=rf"int64 of shape \(10,\), .* of shape {shape}"):
        sib.accumulate(sib.SpatialIBTask(group_norm_net(), strong()), batch()[0], labels, 4)


def test_a_bad_batch_is_told_before_any_gradient():
    task = sib.SpatialIBTask(group_norm_net(), strong())
    images, labels = batch()
    images[7] = torch.nan
    with pytest.raises(ValueError, match="images must be finite"):
        sib.accumulate(task, images, labels, 4)
    assert all(p.grad is None for p in task.parameters())
