"""The torchmetrics classes: means, counts, two processes."""

import multiprocessing

import pytest
import torch
import torch.distributed as dist
from torch import nn

import sib.metrics
from helpers import fresh
from sib.metrics import (
    MAP_MEASURES,
    BackgroundLeakage,
    DeletionArea,
    EnergyPointingGame,
    InsertionArea,
    PointingGame,
    RelevanceRankAccuracy,
    Sparseness,
    TopPixelIoU,
    deletion_area,
    insertion_area,
)

CLASSES = {
    "energy_pointing_game": EnergyPointingGame,
    "background_leakage": BackgroundLeakage,
    "pointing_game": PointingGame,
    "top_pixel_iou": TopPixelIoU,
    "relevance_rank_accuracy": RelevanceRankAccuracy,
    "sparseness": Sparseness,
}


def cases():
    """Seven maps; the second is zero, the fifth has no foreground."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(7, 6, 6, generator=generator)
    foreground = torch.rand(7, 6, 6, generator=generator) < 0.4
    maps[1], foreground[4] = 0, False
    return maps, foreground


@pytest.mark.parametrize("name", CLASSES)
def test_mean_over_batches_of_the_scored_images(name):
    maps, foreground = cases()
    metric, measure = CLASSES[name](), MAP_MEASURES[name]
    assert metric.higher_is_better == measure.higher_is_better
    for rows in (slice(0, 3), slice(3, 7)):
        metric.update(*((maps[rows], foreground[rows])[: 1 + measure.needs_foreground]))
    values = measure.function(maps, foreground)
    assert metric.compute().item() == pytest.approx(values.nanmean().item())
    assert metric.counts() == ((5, 2) if measure.needs_foreground else (6, 1))
    metric.reset()
    assert metric.counts() == (0, 0)


def test_nothing_scored_is_nan():
    metric = PointingGame()
    metric.update(torch.zeros(2, 3, 3), torch.ones(2, 3, 3, dtype=torch.bool))
    assert metric.compute().isnan() and metric.counts() == (0, 2)


def test_the_ceiling_of_the_leakage_is_an_option():
    metric = BackgroundLeakage(ceiling=3.0)
    foreground = torch.eye(3, dtype=torch.bool)[None]
    metric.update((~foreground).float(), foreground)
    assert metric.compute() == 3


@pytest.mark.parametrize(
    ("metric", "function"), [(InsertionArea, insertion_area), (DeletionArea, deletion_area)]
)
def test_areas(metric, function):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 3))
    images, maps = torch.randn(4, 3, 6, 6), torch.randn(4, 6, 6)
    maps[2] = 0
    mean = metric(steps=5, baseline="mean")
    mean.update(model, images, maps, 1)
    expected = function(model, images, maps, 1, steps=5, baseline="mean").nanmean().item()
    assert mean.compute().item() == pytest.approx(expected) and mean.counts() == (3, 1)
    assert mean.higher_is_better == (metric is InsertionArea)


def _rank(rank, store, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    maps, foreground = cases()
    rows = slice(0, 3) if rank == 0 else slice(3, 7)
    metric = EnergyPointingGame()
    metric.update(maps[rows], foreground[rows])
    results.put((rank, metric.compute().item(), metric.counts(), int(metric.scored)))
    dist.destroy_process_group()


def test_two_processes_see_all_images(tmp_path):
    """Three images on one, four on the other; the mean is that of all seven, on both."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    ranks = [
        context.Process(target=_rank, args=(rank, tmp_path / "store", results)) for rank in (0, 1)
    ]
    for process in ranks:
        process.start()
    found = sorted(results.get(timeout=60) for _ in ranks)
    for process in ranks:
        process.join(60)
    maps, foreground = cases()
    whole = MAP_MEASURES["energy_pointing_game"].function(maps, foreground)
    assert [row[0] for row in found] == [0, 1]
    for _, mean, counts, _ in found:
        assert mean == pytest.approx(whole.nanmean().item()) and counts == (5, 2)
    assert [row[3] for row in found] == [2, 3]  # each keeps its own afterwards


def test_the_map_functions_load_neither_torchmetrics_nor_captum():
    code = (
        "import sys, sib; sib.metrics.foreground_energy; "
        "assert not {'torchmetrics', 'captum'} & set(sys.modules); "
        "sib.metrics.EnergyPointingGame, sib.explain.attribute; "
        "assert 'torchmetrics' in sys.modules"
    )
    done = fresh.run(code)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there():
    assert all(hasattr(sib.metrics, name) for name in sib.metrics.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sib.metrics.nothing
