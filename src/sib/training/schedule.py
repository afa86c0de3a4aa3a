"""The learning rate over a run."""

import math

from sib.config.options import ScheduleConfig


def lr_factor(schedule: ScheduleConfig, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Factor on the highest learning rate at one step.

    Args:
        schedule: kind, step length, warm-up.
        step: number of optimiser steps taken so far.
        steps_per_epoch: at least 1.
        epochs: length of the run.

    Returns:
        (step + 1) / warmup during the warm-up; then gamma^⌊epoch / step_epochs⌋ (step), or
        ½ (1 + cos πt) with t the share of the remaining steps that has passed (cosine).
    """
    warmup = schedule.warmup_epochs * steps_per_epoch
    if step < warmup:
        return min(1.0, (step + 1) / warmup)
    if schedule.kind == "step":
        return schedule.gamma ** (step // (schedule.step_epochs * steps_per_epoch))
    passed = (step - warmup) / max(epochs * steps_per_epoch - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, passed)))
