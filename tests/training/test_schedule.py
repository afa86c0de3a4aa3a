"""The learning rate, by hand."""

import pytest

from sib.config.train import ScheduleConfig
from sib.training.schedule import lr_factor


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 1.0), (299, 1.0), (300, 0.1), (599, 0.1), (600, 0.01), (899, 0.01)],
)
def test_steps_fall_every_thirty_epochs(step, expected):
    schedule = ScheduleConfig(kind="step", step_epochs=30, gamma=0.1)
    assert lr_factor(schedule, step, 10, 90) == pytest.approx(expected)


@pytest.mark.parametrize(("step", "expected"), [(0, 1.0), (50, 0.5), (25, 0.8535533906)])
def test_the_cosine_falls_to_zero(step, expected):
    """½ (1 + cos π/4) = 0.85355…"""
    assert lr_factor(ScheduleConfig(kind="cosine"), step, 10, 10) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["cosine", "step"])
def test_warm_up_rises_linearly_and_then_leaves_off_at_one(kind):
    schedule = ScheduleConfig(kind=kind, warmup_epochs=2)
    rates = [lr_factor(schedule, step, 4, 10) for step in range(9)]
    assert rates == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.0])
