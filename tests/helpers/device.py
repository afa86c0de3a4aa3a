"""What the tests on a GPU share: tasks, a batch, and distances between results."""

import copy
import os

import pytest
import torch

import sib
from sib.objectives.cgc import GradCAMConsistency
from sib.rivals import EnergyTask, RightReasonsTask, SaliencyGuidedTask

NAME = os.environ.get("SIB_TEST_DEVICE", "cuda")
needs_device = pytest.mark.skipif(
    NAME == "cuda" and not torch.cuda.is_available(),
    reason="no CUDA device is present; SIB_TEST_DEVICE=cpu runs these tests on the CPU",
)
DEVICE, CPU = torch.device(NAME), torch.device("cpu")


def batch(side, count=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, side, side, generator=generator)
    foreground = torch.zeros(count, 1, side, side)
    foreground[:, :, side // 4 : side // 2, side // 4 :] = 1
    return images, torch.arange(count) % 5, foreground


def published(model, **options):
    return sib.SpatialIBTask(model, sib.SpatialIB(1.0, 1e4, window_size=7), **options)


def calibrated(model):
    return sib.SpatialIBTask(model, sib.SpatialIB.calibrated())


TASKS = {
    "published": published,
    "calibrated": calibrated,
    "energy": EnergyTask,
    "energy at the input": lambda model: EnergyTask(model, at="input"),
    "right reasons": RightReasonsTask,
    "saliency guided": SaliencyGuidedTask,
    "cgc": lambda model: sib.Task(model, GradCAMConsistency()),
    "cross-entropy": sib.CrossEntropyTask,
}


def on(device, model, make, dtype=torch.float32):
    """A task on a copy of the model."""
    return make(copy.deepcopy(model).to(device, dtype))


def gradient(task):
    """All gradients in a row, on the CPU in float64."""
    parts = [p.grad.flatten() for p in task.model.parameters() if p.grad is not None]
    return torch.cat(parts).cpu().double()


def distance(found, wanted):
    """‖found − wanted‖ / ‖wanted‖."""
    found, wanted = found.detach().cpu().double(), wanted.detach().cpu().double()
    return ((found - wanted).norm() / wanted.norm()).item()
