"""What the tests on a GPU share: tasks, a batch, and distances between results."""

import copy
import os

import pytest
import torch

import sib
from sib.functional.crops import Crops
from sib.objectives.cgc import GradCAMConsistency
from sib.objectives.energy import EnergyLoss
from sib.objectives.right_reasons import RightReasons
from sib.objectives.saliency_guided import SaliencyGuided

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
    "energy": lambda model: sib.Task(model, EnergyLoss()),
    "energy at the input": lambda model: sib.Task(model, EnergyLoss(at="input")),
    "right reasons": lambda model: sib.Task(model, RightReasons()),
    "saliency guided": lambda model: sib.Task(model, SaliencyGuided()),
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


def draw_the_same(monkeypatch):
    """What saliency-guided training and cgc draw, the same on every device and in every pass."""
    monkeypatch.setattr(torch, "rand_like", lambda values: torch.full_like(values, 0.3))
    monkeypatch.setattr("sib.objectives.cgc.random_crops", same_crops)


def same_crops(images):
    """Crops that differ from image to image, without the rounding in which devices differ."""
    numbers = torch.arange(len(images), device=images.device, dtype=torch.float64) / len(images)
    size = torch.stack([1 - numbers / 2, 1 - numbers / 3], dim=1)
    return Crops((1 - size) / 2, size, numbers > 0.4)
