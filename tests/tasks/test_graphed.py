"""Steps from CUDA graphs, as far as a CPU can check them; tests/gpu has the rest."""

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import sib
import sib.objectives.cgc
import sib.objectives.energy
import sib.objectives.right_reasons
import sib.objectives.saliency_guided
from sib.functional import selection
from sib.models import SmallResNet
from sib.tasks.graphed import EAGER_STEPS, GraphedStep

OBJECTIVES = {
    "published": lambda: sib.SpatialIB(1.0, 100.0, window_size=5),
    "calibrated": sib.SpatialIB.calibrated,
    "none": lambda: None,
}


class Recorded:
    """Stands in for CUDA graphs: computes a step again, and writes the results where they were."""

    def __init__(self, task):
        self.task, self.count = task, 0

    def __call__(self, function):
        self.count += 1
        before = copy.deepcopy(self.task.state_dict())
        found = function()
        self.task.load_state_dict(before)  # a capture computes nothing

        def again():
            # a graph calls no Python, so it moves no counter and sets no gradient
            number, kept = self.task.step, [p.grad for p in self.task.parameters()]
            for own, new in zip(found, function(), strict=True):
                own.copy_(new)
            self.task.step = number
            for p, gradient in zip(self.task.parameters(), kept, strict=True):
                p.grad = gradient

        return again


class Shared(Recorded):
    """Graphs that share their memory: a replay destroys the results of all others."""

    def __init__(self, task):
        super().__init__(task)
        self.results = []

    def __call__(self, function):
        own = []

        def compute():
            found = function()
            own.extend([] if own else found)
            return found

        again = super().__call__(compute)
        self.results.append(own)

        def replay():
            for other in self.results:
                for result in other if other is not own else []:
                    result.fill_(torch.nan)
            again()

        return replay


def batch(number, count=4):
    generator = torch.Generator().manual_seed(number)
    return torch.randn(count, 3, 24, 24, generator=generator), torch.arange(count) % 3


def task_with(name):
    torch.manual_seed(0)
    return sib.Task(SmallResNet(3), OBJECTIVES[name]()).train()


def graphed(task):
    recorder = Recorded(task)
    return GraphedStep(task, recorder=recorder), recorder


def gradients(task):
    return [None if p.grad is None else p.grad.clone() for p in task.parameters()]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_steps_from_graphs_are_the_ordinary_ones(name):
    ours, reference = task_with(name), task_with(name)
    step, recorder = graphed(ours)
    for number in range(12):
        images, labels = batch(number)
        for task in (ours, reference):
            task.zero_grad()
        found = step(images, labels)
        wanted = reference(images, labels)
        reference.backward(wanted.loss)
        torch.testing.assert_close(found.loss, wanted.loss)
        torch.testing.assert_close(found.logits, wanted.logits)
        torch.testing.assert_close(gradients(ours), gradients(reference))
        for key, value in reference.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[key], value)
    # the calibrated objective measured its weights in steps 0 and 8 only, too seldom for a graph
    assert recorder.count == 1
    assert ours.step == reference.step == 12


def test_gradients_that_are_there_are_added_to():
    ours, reference = task_with("published"), task_with("published")
    step, _ = graphed(ours)
    for number in range(EAGER_STEPS + 3):
        images, labels = batch(number)
        step(images, labels)
        reference.backward(reference(images, labels).loss)
    torch.testing.assert_close(gradients(ours), gradients(reference))


def test_gradients_of_another_kind_of_step_are_added_to():
    """Steps with terms and without, whose graphs overwrite each other's gradients."""
    torch.manual_seed(0)
    ours = sib.Task(SmallResNet(3), OBJECTIVES["published"](), every_n_steps=2).train()
    reference = copy.deepcopy(ours)
    recorder = Shared(ours)
    step = GraphedStep(ours, recorder=recorder)
    for number in range(2 * EAGER_STEPS + 4):
        if number % 2 == 0:
            for task in (ours, reference):
                task.zero_grad()
        images, labels = batch(number)
        step(images, labels)
        reference.backward(reference(images, labels).loss)
    assert recorder.count == 2
    torch.testing.assert_close(gradients(ours), gradients(reference))


def test_a_loss_scale_multiplies_the_gradients_alone():
    ours, reference = task_with("published"), task_with("published")
    step, _ = graphed(ours)
    for number in range(EAGER_STEPS + 2):
        images, labels = batch(number)
        for task in (ours, reference):
            task.zero_grad()
        found = step(images, labels, loss_scale=4.0 + number)
        wanted = reference(images, labels)
        reference.backward((4.0 + number) * wanted.loss)
        torch.testing.assert_close(found.loss, wanted.loss.detach())
        torch.testing.assert_close(gradients(ours), gradients(reference))


def test_another_kind_of_step_gets_a_graph_of_its_own():
    task = task_with("published")
    step, recorder = graphed(task)

    def take(count):
        for number in range(EAGER_STEPS + 1):
            task.zero_grad()
            step(*batch(number, count))
        return recorder.count

    assert take(4) == 1
    assert take(6) == 2
    assert take(4) == 2
    next(task.parameters()).requires_grad_(False)
    assert take(4) == 3
    task.eval()
    assert take(4) == 4
    task.objective.background_weight = 7.0  # a number in the graph
    assert take(4) == 5


def test_outputs_stay_as_they_were_in_later_steps():
    task = task_with("published")
    step, _ = graphed(task)
    outs = [step(*batch(number)) for number in range(EAGER_STEPS + 3)]
    kept = [out.loss.item() for out in outs]
    step(*batch(99))
    assert [out.loss.item() for out in outs] == kept
    assert len(set(kept)) == len(kept)


def test_a_batch_is_checked_before_its_graph():
    task = task_with("published")
    step, _ = graphed(task)
    for number in range(EAGER_STEPS + 1):
        step(*batch(number))
    images, labels = batch(0)
    images[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="images must be finite"):
        step(images, labels)


def test_what_cannot_be_captured_is_refused_in_a_sentence():
    task = task_with("published")

    def broken(function):
        function()
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    step = GraphedStep(task, recorder=broken)
    for number in range(EAGER_STEPS):
        step(*batch(number))
    before = gradients(task)
    with pytest.raises(ValueError, match="cannot be captured as a CUDA graph: CUDA error"):
        step(*batch(9))
    torch.testing.assert_close(gradients(task), before)
    assert task.validate


def test_it_needs_a_gpu_and_no_checkpoints():
    with pytest.raises(ValueError, match="needs a model on a CUDA GPU; this one is on cpu"):
        GraphedStep(task_with("none"))
    checkpointed = sib.Task(SmallResNet(3), sib.SpatialIB(), checkpoint=True)
    with pytest.raises(ValueError, match="not both"):
        GraphedStep(checkpointed, recorder=lambda function: function)


WAITS = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "bincount", "unique")
"""Operations whose result a processor needs before it can continue."""


class NoWaiting(TorchDispatchMode):
    """Refuses operations that cannot be captured, as CUDA does."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        assert not any(each in name for each in WAITS), f"{name} waits for the GPU"
        assert "lift_fresh" not in name, "a tensor is made from Python numbers, on the processor"
        if "aten::index" in name:
            indices = [each for each in args[1] if each is not None]
            assert not any(each.dtype == torch.bool for each in indices), f"{name} by a mask waits"
        return function(*args, **(kwargs or {}))


TERMS = {
    **OBJECTIVES,
    "hsic": lambda: sib.SpatialIB(window_size=5, background="hsic"),
    "fixed weights": lambda: sib.SpatialIB.calibrated(balance=False),
    "guided": lambda: sib.SpatialIB.calibrated(guidance=1.0),
    "energy": sib.objectives.energy.EnergyLoss,
    "cgc": sib.objectives.cgc.GradCAMConsistency,
    "right reasons": sib.objectives.right_reasons.RightReasons,
    "saliency guided": sib.objectives.saliency_guided.SaliencyGuided,
}


@pytest.mark.parametrize("due", [True, False], ids=["weights measured", "weights kept"])
@pytest.mark.parametrize("name", TERMS)
def test_no_step_waits_for_the_gpu(name, due, monkeypatch):
    monkeypatch.setattr(selection, "_argsort", lambda rows: rows.argsort(dim=-1))  # as on a GPU
    task = sib.Task(SmallResNet(3), TERMS[name](), validate=False).train()
    foreground = torch.zeros(4, 1, 24, 24, dtype=torch.bool)
    foreground[:3, :, 4:12, 4:12] = True  # one image is not annotated
    known = foreground if name not in OBJECTIVES else None
    for step in (0, 1):  # the first ones look at the network
        task.backward(task(*batch(0), known, step=step).loss)
    task.zero_grad()
    with NoWaiting():
        task.backward(task(*batch(1), known, step=0 if due else 1).loss)
