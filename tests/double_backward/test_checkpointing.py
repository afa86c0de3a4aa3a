"""Checkpointed blocks give the gradients of the whole, and change nothing twice."""

import copy

import pytest
import torch
from torch import nn

import sib
from helpers.nets import built, small_densenet, small_vit
from helpers.twice import kept_tensors
from sib.double_backward import repeated_blocks
from sib.models import build


class Block(nn.Module):
    def __init__(self, width, dropout=0.0):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.GELU(),
            nn.Dropout(dropout),
        )

    def forward(self, x):
        return x + self.layers(x)


def small_net(dropout=0.0, classes=5):
    blocks = (Block(8, dropout) for _ in range(3))
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)
    )


EXACT = {"rtol": 1e-7, "atol": 1e-10}


def problem(model, dtype=torch.float64, side=16, batch=4, **options):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, side, side, generator=generator, dtype=dtype)
    objective = sib.SpatialIB(1.0, 100.0, window_size=5)
    model = model.to(dtype)
    whole = sib.SpatialIBTask(copy.deepcopy(model), objective, **options)
    ours = sib.SpatialIBTask(model, objective, checkpoint=True, **options)
    return whole, ours, images, torch.arange(batch) % 5


def step(task, images, labels, micro_batch=100):
    torch.manual_seed(7)
    task.zero_grad()
    out = sib.accumulate(task, images, labels, micro_batch)
    return out, torch.rand(3)


def assert_same(whole, ours, images, labels, micro_batch=100):
    (one, drawn), (other, again) = (
        step(task, images, labels, micro_batch) for task in (whole, ours)
    )
    torch.testing.assert_close(other.loss, one.loss, **EXACT)
    assert torch.equal(drawn, again)
    for (name, a), b in zip(whole.named_parameters(), ours.parameters(), strict=True):
        assert (b.grad - a.grad).norm() <= 1e-9 * a.grad.norm(), name
    for (name, a), b in zip(whole.model.named_buffers(), ours.model.buffers(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.torture
@pytest.mark.parametrize("arch", ["resnet18", "resnet50", "densenet121", "vit_b_32"])
def test_the_published_architectures(arch):
    assert_same(*problem(build(arch, 5, 32), side=32))


def small_resnet(classes=5):
    return build("small_resnet", classes, 16)


@pytest.mark.parametrize("make", [small_net, small_vit, small_resnet, small_densenet])
@pytest.mark.parametrize("train", [True, False])
def test_steps_and_modes(make, train):
    whole, ours, images, labels = problem(make(classes=5))
    for _ in range(2):
        whole.train(train)
        ours.train(train)
        assert_same(whole, ours, images, labels)


def test_dropout_draws_once():
    assert_same(*problem(small_net(dropout=0.5)))


@pytest.mark.parametrize("options", [{"every_n_steps": 2}, {"fraction": 0.5}])
def test_cheaper_modes(options):
    whole, ours, images, labels = problem(small_net(), batch=8, **options)
    for _ in range(2):
        assert_same(whole, ours, images, labels)


def test_micro_batches():
    assert_same(*problem(small_net()), 2)


def test_frozen_weights_stay_without_gradient():
    whole, ours, images, labels = problem(small_net())
    for task in (whole, ours):
        task.model[2].requires_grad_(False)
        step(task, images, labels)
    pairs = zip(whole.parameters(), ours.parameters(), strict=True)
    for a, b in pairs:
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            torch.testing.assert_close(b.grad, a.grad, **EXACT)


def test_bfloat16_repeats_the_same_precision():
    whole, ours, images, labels = problem(small_net(), dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        one, other = (step(task, images, labels)[0] for task in (whole, ours))
    torch.testing.assert_close(other.loss, one.loss)
    a, b = (torch.cat([p.grad.flatten() for p in t.parameters()]) for t in (whole, ours))
    assert torch.cosine_similarity(a, b, dim=0) > 0.999


def test_less_is_kept_between_the_passes():
    """Bytes that the graph of the loss holds."""
    whole, ours, images, labels = problem(small_net(), side=32)
    kept = []
    for task in (whole, ours):
        kept_by = reversed(kept_tensors(task(images, labels).loss))
        held = {each.data_ptr(): each.nbytes for each in kept_by}  # the first of several views
        kept.append(sum(held.values()))
    assert kept[1] < 0.6 * kept[0]


def test_the_model_is_left_as_it_is():
    _, ours, images, labels = problem(small_net())
    step(ours, images, labels)
    assert list(ours.model.state_dict()) == list(small_net().state_dict())
    assert not any("forward" in vars(module) for module in ours.model.modules())


@pytest.mark.parametrize(
    ("arch", "kinds", "count"),
    [
        ("resnet18", {"BasicBlock"}, 8),
        ("resnet50", {"Bottleneck"}, 16),
        ("densenet121", {"_DenseBlock", "_Transition"}, 7),
        ("vit_b_32", {"EncoderBlock"}, 12),
        ("small_resnet", None, None),
    ],
)
def test_repeated_blocks(arch, kinds, count):
    blocks = repeated_blocks(built(arch, 5, 32))
    assert blocks and (count is None or len(blocks) == count)
    assert kinds is None or {type(block).__name__ for block in blocks} == kinds


class Outputs(nn.Module):
    """A network of blocks that give a map in a container."""

    def __init__(self, container):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)
        self.blocks = nn.ModuleList(Contained(8, container) for _ in range(2))

    def forward(self, images):
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)[0]
        return self.head(x.mean(dim=(2, 3)))


class Contained(Block):
    def __init__(self, width, container):
        super().__init__(width)
        self.container = container

    def forward(self, x):
        return self.container(super().forward(x))


def test_a_tuple_of_one_tensor_is_as_good_as_a_tensor():
    assert_same(*problem(Outputs(lambda x: (x,))))


@pytest.mark.parametrize(
    ("container", "kind"),
    [(lambda x: (x, x), "tuple"), (lambda x: [x], "list"), (lambda x: {0: x}, "dict")],
)
def test_blocks_that_give_more_than_a_tensor_are_refused(container, kind):
    _, ours, images, labels = problem(Outputs(container))
    with pytest.raises(ValueError, match=f"Contained gives a {kind}: leave checkpoint out"):
        step(ours, images, labels)


def test_a_model_without_blocks_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(ValueError, match="Sequential has no repeated blocks to be checkpointed"):
        sib.SpatialIBTask(model, checkpoint=True)


@pytest.mark.parametrize(
    ("arch", "side"), [("small_resnet", 32), ("helpers.nets:small_densenet", 32), ("vit", 16)]
)
def test_the_calibrated_objective_sees_its_stages(arch, side):
    """A DenseNet's stages are blocks; the vision transformer's last stage is inside of one."""
    torch.manual_seed(0)
    model = small_vit() if arch == "vit" else build(arch, 5, side)
    images, labels = torch.randn(4, 3, side, side), torch.arange(4)
    found = []
    for checkpoint in (False, True):
        own = copy.deepcopy(model)
        task = sib.SpatialIBTask(own, sib.SpatialIB.calibrated(), checkpoint=checkpoint)
        out = task(images, labels)
        task.backward(out.loss)
        found.append(torch.cat([p.grad.flatten() for p in task.parameters()]))
    assert (found[0] - found[1]).norm() < 1e-4 * found[0].norm()
