"""Tasks with several labels an image, and with a single logit."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sib
from sib.objectives.cgc import GradCAMConsistency
from sib.objectives.energy import EnergyLoss
from sib.objectives.right_reasons import RightReasons
from sib.objectives.saliency_guided import SaliencyGuided
from sib.tasks.accumulate import accumulate


def network(outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, outputs),
    )


class TwoOf(nn.Module):
    """A single logit z as two, 0 and z."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images):
        z = self.model(images)
        return torch.cat([torch.zeros_like(z), z], dim=1)


OBJECTIVES = {
    "published": lambda: sib.SpatialIB(window_size=3),
    "calibrated": lambda: sib.SpatialIB.calibrated(layer="2", balance=False),
    "balanced": lambda: sib.SpatialIB.calibrated(layer="2"),
    "right_reasons": RightReasons,
    "energy": lambda: EnergyLoss(layer="2"),
    "saliency_guided": SaliencyGuided,
    "cgc": lambda: GradCAMConsistency(layer="2"),
    "none": lambda: None,
}


def batch(size: int = 4):
    torch.manual_seed(1)
    foreground = torch.zeros(size, 1, 8, 8, dtype=torch.bool)
    foreground[:, :, 2:6, 2:6] = True
    return torch.randn(size, 3, 8, 8), foreground


def gradients(model: nn.Module) -> list[torch.Tensor]:
    return [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_several_labels_train_with_every_objective(name):
    images, foreground = batch()
    labels = torch.tensor([[1.0, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]])
    task = sib.Task(network(3), OBJECTIVES[name](), nn.BCEWithLogitsLoss())
    out = task(images, labels, foreground)
    expected = F.binary_cross_entropy_with_logits(out.logits, labels)
    torch.testing.assert_close(out.cross_entropy, expected)
    task.backward(out.loss)
    assert all(p.grad.isfinite().all() for p in task.model.parameters())
    if name != "none":
        assert task.objective.label_kind == "multi"


@pytest.mark.parametrize("name", [n for n in OBJECTIVES if n != "saliency_guided"])
@pytest.mark.parametrize("balanced", [False, True])
def test_micro_batches_of_several_labels_have_the_gradient_of_the_batch(name, balanced):
    images, foreground = batch(6)
    labels = (torch.rand(6, 3) > 0.5).float()
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2, 3]) if balanced else None)
    found = []
    for micro in (6, 2):
        task = sib.Task(network(3), OBJECTIVES[name](), copy.deepcopy(criterion))
        if micro == 6:
            task.backward(task(images, labels, foreground).loss)
        else:
            accumulate(task, images, labels, micro, foreground=foreground)
        found.append(gradients(task.model))
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "name", [n for n in OBJECTIVES if n not in ("energy", "saliency_guided", "cgc")]
)
@pytest.mark.parametrize("criterion", [None, nn.BCEWithLogitsLoss()])
def test_a_single_logit_trains_as_its_two_classes_do(name, criterion):
    images, foreground = batch()
    labels = torch.tensor([0, 1, 1, 0])
    one, two = network(1), network(1)
    for model, own in ((one, criterion), (TwoOf(two), None)):
        objective = OBJECTIVES[name]()
        if objective is not None and isinstance(model, TwoOf) and "layer" in repr(objective):
            objective._layer = ("model.2",)
        task = sib.Task(model, objective, own)
        task.backward(task(images, labels, foreground).loss)
    for first, second in zip(gradients(one), gradients(two), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_single_logit_trains_with_every_objective(name):
    images, foreground = batch()
    task = sib.Task(network(1), OBJECTIVES[name]())
    task.backward(task(images, torch.tensor([0, 1, 1, 0]), foreground).loss)
    assert all(p.grad.isfinite().all() for p in task.model.parameters())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_classes_of_a_single_logit_are_its_label_to_binary_cross_entropy(name):
    images, foreground = batch()
    labels = torch.tensor([0, 1, 1, 0])
    found = []
    for given in (labels, labels[:, None].float()):
        task = sib.Task(network(1), OBJECTIVES[name](), nn.BCEWithLogitsLoss())
        torch.manual_seed(3)
        task.backward(task(images, given, foreground).loss)
        found.append(gradients(task.model))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("labels", "outputs", "message"),
    [
        (torch.tensor([0, 1, 2, 0]), 1, r"labels must lie in \[0, 2\)"),
        (torch.tensor([0, 1, 2, 0]), 3, "1 for each label that is present"),
        (torch.full((4, 3), 1.5), 3, r"must lie in \[0, 1\]"),
        (torch.ones(4, 2), 3, "do not fit logits"),
    ],
)
def test_labels_that_do_not_fit_are_refused_in_a_sentence(labels, outputs, message):
    images, _ = batch()
    criterion = None if outputs == 1 else nn.BCEWithLogitsLoss()
    task = sib.Task(network(outputs), sib.SpatialIB(window_size=3), criterion)
    with pytest.raises(ValueError, match=message):
        task(images, labels)


def test_methods_that_explain_whole_labels_refuse_soft_ones():
    images, foreground = batch()
    task = sib.Task(network(3), EnergyLoss(layer="2"), nn.BCEWithLogitsLoss())
    with pytest.raises(ValueError, match="whole classes for the energy loss; got soft labels"):
        task(images, torch.full((4, 3), 0.5), foreground)


def test_the_example_of_the_documentation_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    torch.manual_seed(0)
    found: dict = {}
    exec(compile(code, "docs/labels.md", "exec"), found)
    assert found["heat"].shape == (8, 32, 32)
    assert found["model"].sib_label_kind == "multi"
    assert "tensor(" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ([0.5, 0.7, -0.2], "the smallest is -0.2"),
        ([0.5, 0.4, 0.2], r"those of one image sum to 1\.1"),
        ([0.5, float("nan"), 0.5], "the smallest is nan"),
    ],
)
def test_soft_labels_are_probabilities(row, sentence):
    task = sib.Task(sib.models.SmallResNet(3))
    labels = torch.tensor([[1.0, 0.0, 0.0], row])
    with pytest.raises(ValueError, match=f"at least 0 and sum to 1 for each image; {sentence}"):
        task(torch.randn(2, 3, 16, 16), labels)
