"""What every objective must do, whatever its terms are: one tester for all of them.

A new objective is added to `OBJECTIVES`; its formula is tested in a file of its own.
"""

import copy
import pickle

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import sib
from helpers.nets import group_norm_net
from sib.objectives.base import Objective
from sib.objectives.cgc import GradCAMConsistency
from sib.objectives.energy import EnergyLoss
from sib.objectives.registry import METHODS, load_objective
from sib.objectives.right_reasons import RightReasons
from sib.objectives.saliency_guided import SaliencyGuided
from sib.objectives.weighting import FixedWeights, GradientBalancer

LAYER = "6"  # of group_norm_net: its last activation


def published(weighting=None):
    return sib.SpatialIB(1.0, 1e5, window_size=5, weighting=weighting)


def calibrated(weighting=None):
    weighting = FixedWeights() if weighting is None else weighting
    return sib.SpatialIB.calibrated(0.6, 2.0, stage_weight=2.0, layer=LAYER, weighting=weighting)


OBJECTIVES = {
    "published": published,
    "calibrated": calibrated,
    "energy": lambda weighting=None: EnergyLoss(2.0, layer=LAYER, weighting=weighting),
    "energy at the input": lambda weighting=None: EnergyLoss(2.0, "input", weighting=weighting),
    "cgc": lambda weighting=None: GradCAMConsistency(2.0, layer=LAYER, weighting=weighting),
    "right_reasons": lambda weighting=None: RightReasons(3.0, weighting=weighting),
    "saliency_guided": lambda weighting=None: SaliencyGuided(2.0, weighting=weighting),
}
SOFT = ("published", "calibrated", "cgc", "right_reasons")
"""Objectives that take soft labels, as of mixed images."""
WEIGHTINGS = {"fixed": FixedWeights, "balanced": GradientBalancer}


def batch(dtype=torch.float64, size=8, side=16):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, side, side, generator=generator, dtype=torch.float64)
    foreground = torch.zeros(size, 1, side, side, dtype=torch.bool)
    foreground[1:, :, 3:9, 4:12] = True  # the first image is not annotated
    return images.to(dtype), torch.randint(5, (size,), generator=generator), foreground


def task_of(name, weighting="fixed", dtype=torch.float64, **options):
    torch.manual_seed(0)
    objective = OBJECTIVES[name](WEIGHTINGS[weighting]())
    return sib.Task(group_norm_net().to(dtype), objective, **options)


def gradient(task):
    return torch.cat([p.grad.flatten() for p in task.model.parameters()])


def stepped(task, images, labels, foreground, micro_batch=None, step=None):
    """One step with its gradients; random numbers are those of the step."""
    task.zero_grad()
    torch.manual_seed(7)
    size = len(images) if micro_batch is None else micro_batch
    return sib.accumulate(task, images, labels, size, foreground=foreground, step=step)


every = pytest.mark.parametrize("name", OBJECTIVES)
every_without_chance = pytest.mark.parametrize(
    # saliency-guided training replaces pixels by numbers that micro-batches draw in another order
    "name",
    [name for name in OBJECTIVES if name != "saliency_guided"],
)
weighted = pytest.mark.parametrize("weighting", WEIGHTINGS)


def test_every_method_of_the_command_line_is_tested_here():
    tested = {type(make()) for make in OBJECTIVES.values()}
    assert {load_objective(name) for name, method in METHODS.items() if method.objective} <= tested


@every
def test_a_class_is_either_abstract_or_final(name):
    cls = type(OBJECTIVES[name]())
    concrete = [base for base in cls.__mro__[1:] if issubclass(base, Objective)]
    assert all(base.__abstractmethods__ or base is Objective for base in concrete)


@every
@weighted
def test_the_loss_is_the_sum_of_its_named_parts(name, weighting):
    task = task_of(name, weighting)
    out = task(*batch())
    assert list(out.terms.values) == list(task.objective.names) == list(out.weighted_terms)
    total = out.cross_entropy + sum(out.weighted_terms.values())
    assert out.loss.item() == pytest.approx(total.item(), rel=1e-12)
    penalties = task.objective.penalties(out.terms.values)
    for term, added in out.weighted_terms.items():
        assert added.item() == pytest.approx((out.weights[term] * penalties[term]).item())


@every
def test_a_balanced_term_pulls_as_hard_as_its_weight_says(name):
    """λ is the norm of the term's gradient over cross-entropy's."""
    task = task_of(name, "balanced")
    images, labels, foreground = batch()
    torch.manual_seed(7)
    out = task(images, labels, foreground, step=0)
    parameters = list(task.model.parameters())

    def norm(loss):
        found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        return torch.cat([g.flatten() for g in found if g is not None]).norm().item()

    plain = norm(out.cross_entropy)
    for term, weight in task.objective.term_weights().items():
        if out.weights[term] > 0:  # this network has no stages between
            assert norm(out.weighted_terms[term]) == pytest.approx(weight * plain, rel=1e-5)


@every_without_chance
@weighted
@pytest.mark.parametrize("micro_batch", [2, 3])
def test_micro_batches_give_the_gradient_of_the_batch(name, weighting, micro_batch):
    task, data = task_of(name, weighting), batch()
    whole = stepped(task, *data, step=0)
    expected = gradient(task)
    found = stepped(task, *data, micro_batch=micro_batch, step=0)
    assert (gradient(task) - expected).norm() < 1e-6 * expected.norm()
    assert found.loss.item() == pytest.approx(whole.loss.item(), rel=1e-6)
    for term, value in whole.terms.values.items():
        assert found.terms.values[term].item() == pytest.approx(value.item(), rel=1e-6, abs=1e-12)


def weighted_criterion():
    return nn.CrossEntropyLoss(torch.tensor([1.0, 5, 2, 1, 9]).double(), label_smoothing=0.1)


def soft(labels):
    """As of mixup with the image before, (B, 5)."""
    own = F.one_hot(labels, 5).double()
    return 0.7 * own + 0.3 * own.roll(1, dims=0)


@every_without_chance
@pytest.mark.parametrize("kind", [lambda labels: labels, soft])
def test_class_weights_are_exact_in_micro_batches(name, kind):
    """A weighted cross-entropy is not the mean of its micro-batches."""
    images, labels, foreground = batch()
    if kind is soft and name not in SOFT:
        pytest.skip("it takes no soft labels")
    task, data = task_of(name, criterion=weighted_criterion()), (images, kind(labels), foreground)
    whole = stepped(task, *data)
    expected = gradient(task)
    found = stepped(task, *data, micro_batch=3)
    assert (gradient(task) - expected).norm() < 1e-9 * expected.norm()
    assert found.cross_entropy.item() == pytest.approx(whole.cross_entropy.item(), rel=1e-12)


@every
def test_a_step_is_decided_by_its_number_alone(name):
    """So a loop that resumes measures weights on the same steps as one that never stopped."""
    data = batch()
    steady, resumed = (task_of(name, "balanced", every_n_steps=2) for _ in range(2))
    outs = [stepped(steady, *data) for _ in range(4)]
    stepped(resumed, *data, step=0)
    out = stepped(resumed, *data, step=2)
    assert torch.equal(out.loss, outs[2].loss)
    assert outs[1].terms is None and outs[2].terms is not None and steady.step == 4


@every
@pytest.mark.parametrize("copier", [copy.deepcopy, lambda task: pickle.loads(pickle.dumps(task))])
def test_a_task_is_copied_and_pickled_after_a_step(name, copier):
    task, data = task_of(name, "balanced"), batch()
    stepped(task, *data)
    other = copier(task)
    assert torch.equal(stepped(other, *data).loss, stepped(task, *data).loss)


@every
def test_the_state_of_a_task_holds_what_was_measured(name):
    task, other, data = task_of(name, "balanced"), task_of(name, "balanced"), batch()
    stepped(task, *data, step=0)
    other.load_state_dict(task.state_dict())
    assert torch.equal(stepped(other, *data, step=1).loss, stepped(task, *data, step=1).loss)


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_stays_near_float32(name, dtype):
    task, (images, labels, foreground) = task_of(name, dtype=torch.float32), batch(torch.float32)
    stepped(task, images, labels, foreground)
    expected = gradient(task)
    with torch.autocast("cpu", dtype=dtype):
        out = stepped(task, images, labels, foreground)
    assert out.loss.isfinite() and out.loss.dtype == torch.float32
    assert F.cosine_similarity(gradient(task), expected, dim=0) > 0.95


@every
def test_foregrounds_that_are_needed_and_missing_are_told(name):
    task, (images, labels, _) = task_of(name), batch()
    if task.objective.needs_foreground:
        with pytest.raises(ValueError, match=r"foreground must be given: .* needs annotation"):
            task(images, labels)
    else:
        assert task(images, labels).loss.isfinite()


CASES = {name: (name, {}, lambda labels: labels) for name in OBJECTIVES}
CASES["a criterion and soft labels"] = ("published", {"criterion": weighted_criterion()}, soft)


def both_processes(rank, file, queue):
    """Each process has half of the batch; their mean gradient is that of the batch."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    images, labels, foreground = batch()
    own = slice(0, 4) if rank == 0 else slice(4, 8)
    found = {}
    for case, (name, options, kind) in CASES.items():
        task = task_of(name, **options)
        parallel = DistributedDataParallel(task)
        stepped(parallel, images[own], kind(labels)[own], foreground[own])
        found[case] = gradient(task).tolist()
    queue.put((rank, found))
    queue.close()
    queue.join_thread()
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_train_on_the_mean_of_their_gradients(tmp_path):
    context = mp.get_context("fork")
    queue = context.Queue()
    mp.start_processes(
        both_processes, (str(tmp_path / "meet"), queue), nprocs=2, join=False, start_method="fork"
    )
    results = dict(queue.get(timeout=120) for _ in range(2))
    images, labels, foreground = batch()
    for case, (name, options, kind) in CASES.items():
        assert results[0][case] == results[1][case]
        halves = []
        for own in (slice(0, 4), slice(4, 8)):
            task = task_of(name, **options)
            stepped(task, images[own], kind(labels)[own], foreground[own])
            halves.append(gradient(task))
        expected = (halves[0] + halves[1]) / 2
        found = torch.tensor(results[0][case], dtype=torch.float64)
        assert (found - expected).norm() < 1e-9 * expected.norm(), case
