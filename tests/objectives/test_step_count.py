"""The count of steps that says when weights are measured: what counts, and what does not."""

import pytest
import torch
import torch.nn.functional as F

import sib
from helpers.calibrated import LAYER, batch
from helpers.nets import group_norm_net
from sib.objectives.weighting import GradientBalancer


def called(objective, model, cross_entropy=True, **options):
    """One call of an objective without a task."""
    images, labels = batch(dtype=torch.float32)
    with sib.second_order(), objective.capture_features(model, images.requires_grad_()):
        logits = model(images)
    loss = F.cross_entropy(logits, labels) if cross_entropy else None
    return objective(logits, images, cross_entropy=loss, **options)


def test_a_call_that_fails_does_not_use_up_the_step_that_measures():
    objective, model = sib.SpatialIB.calibrated(layer=LAYER), group_norm_net()
    with pytest.raises(ValueError, match="give cross_entropy="):
        called(objective, model, cross_entropy=False)
    assert objective.step == 0
    assert called(objective, model).weights["image"] > 0 and objective.step == 1
    rival = sib.objectives.RightReasons(0.1, weighting=GradientBalancer())
    task, data = sib.Task(group_norm_net(), rival), batch(dtype=torch.float32)
    for refused in (task, lambda *data: sib.accumulate(task, *data, micro_batch=1)):
        with pytest.raises(ValueError, match="foreground must be given"):
            refused(*data)
    assert task.step == 0


@pytest.mark.parametrize("every", [1, 2])
def test_a_task_that_fails_inside_its_model_does_not_count_the_step(every):
    """Labels are compared with the logits, so this is found late."""
    images, labels = batch(dtype=torch.float32)
    calibrated = sib.SpatialIB.calibrated(layer=LAYER)
    task = sib.Task(group_norm_net(), calibrated, every_n_steps=every)
    for start in range(every):  # with terms, and without
        for refused in (task, lambda *data: sib.accumulate(task, *data, micro_batch=1)):
            with pytest.raises(ValueError, match="labels must lie in"):
                refused(images, labels + 100)
        assert task.step == start
        out = task(images, labels)
        assert task.step == start + 1
        assert start or out.weights["image"] > 0


def test_evaluation_and_a_given_step_leave_a_loops_own_count_as_documented():
    objective, model = sib.SpatialIB.calibrated(layer=LAYER), group_norm_net()
    called(objective, model)
    before = objective.weighting.factors.clone()
    called(objective.eval(), model, cross_entropy=False)
    assert objective.step == 1 and torch.equal(objective.weighting.factors, before)
    resumed = sib.SpatialIB.calibrated(layer=LAYER)
    resumed.load_state_dict(objective.state_dict())
    assert resumed.step == 0
    called(resumed.train(), group_norm_net(), step=5)
    assert resumed.step == 6 and torch.equal(resumed.weighting.factors, before)
