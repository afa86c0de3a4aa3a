"""Weights in units of cross-entropy's gradient: their value, their measurement, in any loop."""

import copy

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

import sib
from helpers.calibrated import LAYER, batch, by_the_formula, gradient, staged_net
from helpers.nets import group_norm_net, small_vit
from sib.objectives.base import Objective
from sib.objectives.calibrated import CalibratedSpatialIB
from sib.objectives.gradient_sums import GradientSums
from sib.objectives.weighting import WEIGHT_UPDATE_INTERVAL, GradientBalancer, gradient_norm_ratios

SHARES = torch.eye(3).tolist()
ORDER = [0, 2, 1]  # image, stages, layer
"""Weights that leave one share alone."""


def norm_of(loss, model):
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None]).norm()


def stepped(task, images, labels, steps=1):
    for _ in range(steps):
        out = task(images, labels)
    return out


def test_factors_are_ratios_of_the_norms_of_gradients():
    model, (images, labels) = staged_net().double(), batch()
    task = sib.SpatialIBTask(model, CalibratedSpatialIB(0.2, 0.05, 0.7, layer="4"))
    out = task(images, labels)
    plain = norm_of(F.cross_entropy(model(images), labels), model)
    shares = [by_the_formula(model, images, *weights) for weights in SHARES]
    expected = torch.stack([plain / norm_of(shares[k], model) for k in ORDER])
    assert torch.allclose(task.objective.weighting.factors.double(), expected, rtol=1e-5)
    values = torch.stack([shares[k] for k in ORDER])
    weights = torch.tensor([0.2, 0.7, 0.05])
    assert torch.allclose(
        torch.stack(list(task.objective.weights().values())),
        weights * task.objective.weighting.factors,
    )
    assert torch.allclose(out.terms.loss, (weights * expected * values).sum(), rtol=1e-5)


def test_a_weight_is_the_norm_of_a_terms_gradient_over_cross_entropys():
    model, (images, labels) = staged_net().double(), batch()
    for weights in ((0.3, 0, 0), (0, 0.05, 0), (0, 0, 2.0)):
        task = sib.SpatialIBTask(model, CalibratedSpatialIB(*weights, layer="4"))
        terms = task(images, labels).terms
        plain = norm_of(F.cross_entropy(model(images), labels), model)
        assert norm_of(terms.loss, model) == pytest.approx(sum(weights) * plain.item(), rel=1e-5)


@pytest.mark.parametrize("every_n_steps", [1, 3])
def test_they_are_measured_on_every_eighth_batch_with_terms(every_n_steps, monkeypatch):
    measured = []
    real = Objective.update_weights

    def count(self, batches, parameters):
        measured.append(task.step)
        real(self, batches, parameters)

    monkeypatch.setattr(Objective, "update_weights", count)
    objective = sib.SpatialIB.calibrated(layer=LAYER)
    task = sib.SpatialIBTask(group_norm_net(), objective, every_n_steps=every_n_steps)
    stepped(task, *batch(dtype=torch.float32), steps=2 * WEIGHT_UPDATE_INTERVAL * every_n_steps + 1)
    assert measured == [
        0,
        WEIGHT_UPDATE_INTERVAL * every_n_steps,
        2 * WEIGHT_UPDATE_INTERVAL * every_n_steps,
    ]


def test_steady_weights_may_be_measured_more_rarely():
    balancer = GradientBalancer(8, steady_interval=32)
    due = [step for step in range(200) if balancer.is_due(step)]
    assert due == [0, 8, 16, 24, 32, 40, 48, 56, 64, 96, 128, 160, 192]
    assert [step for step in range(100) if GradientBalancer(30).is_due(step)] == [0, 30, 60, 90]
    with pytest.raises(ValueError, match="steady_interval"):
        GradientBalancer(steady_interval=0)


def test_they_hold_until_the_next_measurement_and_in_eval_mode():
    images, labels = batch(dtype=torch.float32)
    task = sib.SpatialIBTask(group_norm_net(), sib.SpatialIB.calibrated(layer=LAYER))
    stepped(task, images, labels)
    first = task.objective.weighting.factors.clone()
    assert (first[[0, 2]] > 0).all() and first[1] == 0  # it has no stages between
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(1.5)
    stepped(task, images, labels, WEIGHT_UPDATE_INTERVAL - 1)
    assert torch.equal(task.objective.weighting.factors, first)
    task.eval()
    stepped(task, images, labels)
    assert torch.equal(task.objective.weighting.factors, first)
    task.train()
    stepped(task, images, labels)
    assert not torch.equal(task.objective.weighting.factors, first)


def test_without_balance_the_weights_are_those_of_the_shares():
    objective = CalibratedSpatialIB(0.6, 2.0, 2.0, layer="4", balance=False)
    task = sib.SpatialIBTask(staged_net(), objective)
    stepped(task, *batch(dtype=torch.float32))
    assert objective.weights() == {"image": 0.6, "stages": 2.0, "layer": 2.0}


@pytest.mark.parametrize("make", [staged_net, small_vit])
@pytest.mark.parametrize("micro_batch", [1, 4])
def test_micro_batches_give_the_factors_and_the_gradient_of_the_batch(make, micro_batch):
    images, labels = batch()
    layer = "4" if make is staged_net else None
    task = sib.SpatialIBTask(make().double(), sib.SpatialIB.calibrated(layer=layer))
    other = copy.deepcopy(task)
    out = task(images, labels)
    task.backward(out.loss)
    found = sib.accumulate(other, images, labels, micro_batch)
    assert torch.allclose(
        other.objective.weighting.factors, task.objective.weighting.factors, rtol=1e-6
    )
    assert torch.allclose(found.loss, out.loss)
    assert torch.allclose(gradient(other), gradient(task), rtol=1e-6, atol=1e-9)
    assert other.step == task.step == 1


@pytest.mark.parametrize("micro_batch", [1, 4])
def test_micro_batches_too_small_for_a_coupled_term_give_the_factors_too(micro_batch):
    images, labels = batch()
    objective = sib.SpatialIB(1.0, 1e3, window_size=7, weighting=GradientBalancer())
    task = sib.SpatialIBTask(group_norm_net().double(), objective)
    other = copy.deepcopy(task)
    out = task(images, labels)
    task.backward(out.loss)
    found = sib.accumulate(other, images, labels, micro_batch)
    torch.testing.assert_close(
        other.objective.weighting.factors, task.objective.weighting.factors, rtol=1e-6, atol=0
    )
    assert torch.allclose(found.loss, out.loss)
    assert torch.allclose(gradient(other), gradient(task), rtol=1e-6, atol=1e-9)


def test_terms_on_a_part_of_the_batch_are_weighed_by_all_of_its_cross_entropy():
    model, (images, labels) = group_norm_net().double(), batch()
    objective = sib.SpatialIB.calibrated(layer=LAYER)
    task = sib.SpatialIBTask(model, objective, fraction=0.5)
    task(images, labels)
    part = sib.SpatialIBTask(model, sib.SpatialIB.calibrated(layer=LAYER, balance=False))
    share = part(images[:3], labels[:3]).terms.weighted["layer"] / 0.1
    plain = norm_of(F.cross_entropy(model(images), labels), model)
    assert objective.weighting.factors[2].item() == pytest.approx(
        (plain / norm_of(share, model)).item()
    )


def test_a_plain_loop_must_say_what_to_weigh_by():
    model, (images, _) = group_norm_net(), batch(dtype=torch.float32)
    objective = sib.SpatialIB.calibrated(layer=LAYER)
    with objective.recording(model, images.requires_grad_()):
        logits = model(images)
    with pytest.raises(
        ValueError, match=r"give cross_entropy=, or construct it with balance=False"
    ):
        objective(logits, images)
    objective.eval()(logits, images)


def test_a_plain_loop_measures_as_the_task_does():
    images, labels = batch(dtype=torch.float32)
    task = sib.SpatialIBTask(group_norm_net(), sib.SpatialIB.calibrated(layer=LAYER))
    model, objective = copy.deepcopy(task.model), sib.SpatialIB.calibrated(layer=LAYER)
    optimizers = [torch.optim.SGD(each.parameters(), 0.1) for each in (task, model)]
    for _ in range(WEIGHT_UPDATE_INTERVAL + 2):
        for optimizer in optimizers:
            optimizer.zero_grad()
        out = task(images, labels)
        task.backward(out.loss)
        own = images.clone().requires_grad_()
        with sib.second_order(), objective.recording(model, own):
            logits = model(own)
        cross_entropy = F.cross_entropy(logits, labels)
        terms = objective(logits, own, cross_entropy=cross_entropy)
        (cross_entropy + terms.loss).backward()
        for optimizer in optimizers:
            optimizer.step()
        assert torch.allclose(
            objective.weighting.factors, task.objective.weighting.factors, rtol=1e-4
        )
        assert torch.allclose(cross_entropy + terms.loss, out.loss, rtol=1e-4)


def test_factors_stay_where_a_gradient_says_nothing():
    before = torch.tensor([2.0, 3.0, 4.0])
    norms = torch.tensor([2.0, 0.0, float("nan")])
    assert gradient_norm_ratios(torch.tensor(5.0), norms, before).tolist() == [2.5, 3.0, 4.0]
    none = gradient_norm_ratios(torch.tensor(0.0), torch.full((3,), 2.0), before)
    assert none.tolist() == before.tolist()


def test_a_factor_rises_four_times_at_most_and_falls_at_once():
    before = torch.tensor([2.0, 2.0, 0.0])
    found = gradient_norm_ratios(torch.tensor(1.0), torch.tensor([1e-6, 1e6, 1e-6]), before)
    assert found.tolist() == pytest.approx([8.0, 1e-6, 1e6])  # the last was not measured before


def test_a_term_without_weight_costs_and_does_nothing():
    objective = CalibratedSpatialIB(0.1, 0, 0.1, layer="4")
    task = sib.SpatialIBTask(staged_net(), objective)
    stepped(task, *batch(dtype=torch.float32))
    assert (objective.weighting.factors[:2] > 0).all() and objective.weighting.factors[2] == 0


def test_frozen_parameters_do_not_count():
    images, labels = batch()
    task = sib.SpatialIBTask(staged_net().double(), sib.SpatialIB.calibrated(layer="4"))
    task.model[0].requires_grad_(False)
    sums = GradientSums(task.model.parameters())
    logits, parts = task.parts(images, labels)
    sums.add([F.cross_entropy(logits, labels), parts.values["layer"][0].mean()])
    expected = sums.sums[0].norm() / sums.sums[1].norm()
    task(images, labels)
    assert task.objective.weighting.factors[2].item() == pytest.approx(expected.item(), rel=1e-5)


def test_nothing_to_train_is_told_as_ever():
    task = sib.SpatialIBTask(staged_net(), sib.SpatialIB.calibrated(layer="4"))
    task.model.requires_grad_(False)
    out = task(*batch(dtype=torch.float32))
    with pytest.raises(ValueError, match="model must have a parameter that requires a gradient"):
        task.backward(out.loss)


def test_the_state_goes_with_the_task():
    images, labels = batch(dtype=torch.float32)
    task = sib.SpatialIBTask(group_norm_net(), sib.SpatialIB.calibrated(layer=LAYER))
    stepped(task, images, labels)
    other = sib.SpatialIBTask(group_norm_net(), sib.SpatialIB.calibrated(layer=LAYER))
    other.load_state_dict(task.state_dict())
    other.step = task.step
    assert torch.equal(other(images, labels).loss, task(images, labels).loss)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_weighs_nearly_alike(dtype):
    images, labels = batch(dtype=torch.float32)
    task = sib.SpatialIBTask(group_norm_net(), sib.SpatialIB.calibrated(layer=LAYER))
    other = copy.deepcopy(task)
    task(images, labels)
    with torch.autocast("cpu", dtype=dtype):
        other(images, labels)
    used = torch.tensor([0, 2])  # it has no stages between
    factors = other.objective.weighting.factors[used] / task.objective.weighting.factors[used]
    assert ((factors - 1).abs() < 0.1).all()


@pytest.mark.parametrize("large", [1, 2.0**11])
def test_float16_measures_what_a_large_scale_would_overflow(large):
    images, labels = batch(dtype=torch.float32)
    torch.manual_seed(0)
    model = group_norm_net()
    with torch.no_grad():
        model[-1].weight *= large
    task = sib.SpatialIBTask(model, sib.SpatialIB.calibrated(layer=LAYER))
    other = copy.deepcopy(task)
    task(images, labels)
    with torch.autocast("cpu", dtype=torch.float16):
        other(images, labels)
    assert other.objective.weighting.factors[2] == pytest.approx(
        task.objective.weighting.factors[2].item(), rel=0.2
    )


def factors_of_two(rank, file, sizes, micro_batch, queue):
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    images, labels = batch(10)
    own = slice(0, sizes[0]) if rank == 0 else slice(sizes[0], sum(sizes))
    torch.manual_seed(0)
    task = sib.SpatialIBTask(staged_net().double(), sib.SpatialIB.calibrated(layer="4"))
    alone = copy.deepcopy(task)
    parallel = DistributedDataParallel(task)
    sib.accumulate(parallel, images[own], labels[own], micro_batch)
    first = task.objective.weighting.factors.tolist()
    alone(images[own], labels[own])
    sib.accumulate(parallel, images[own], labels[own], micro_batch)
    queue.put(
        (
            rank,
            first,
            alone.objective.weighting.factors.tolist(),
            task.objective.weighting.factors.tolist(),
        )
    )
    queue.close()
    queue.join_thread()
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.parametrize(("sizes", "micro_batch"), [((4, 4), 4), ((6, 4), 4), ((6, 4), 2)])
def test_processes_measure_alone_and_go_on_with_the_first_ones_factors(
    sizes, micro_batch, tmp_path
):
    context = mp.get_context("fork")
    queue = context.Queue()
    arguments = (str(tmp_path / "meet"), sizes, micro_batch, queue)
    mp.start_processes(factors_of_two, arguments, nprocs=2, join=False, start_method="fork")
    results = sorted(queue.get(timeout=120) for _ in range(2))
    (_, _, alone, later), (_, _, _, other_later) = results
    assert later == other_later == pytest.approx(alone, rel=1e-6)
    if sizes[1] == micro_batch:  # else the broadcast of its last micro-batch came after it measured
        _, own, expected, _ = results[1]
        assert own == pytest.approx(expected, rel=1e-6)
