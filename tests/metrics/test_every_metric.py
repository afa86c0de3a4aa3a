"""One tester for all metrics of the registry: function, class, precision, gradient, plot."""

import copy
import pickle
import sys

import pytest
import torch
from torch import nn
from torchmetrics import Metric, MetricCollection

import sib
from sib.metrics.registry import BUILT_IN, METRICS

NAMES = [spec.name for spec in BUILT_IN]
OF_MAPS = [spec.name for spec in BUILT_IN if not spec.needs_model]
OF_MODELS = [spec.name for spec in BUILT_IN if spec.needs_model]
OF_THE_BATCH = ("grid_pointing_game",)  # each image's value depends on its neighbours
SIDE, COUNT = 10, 8


def build_net():
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Linear(32, 5),
    ).eval()  # fmt: skip


def decided(images):
    """A network that decides for several classes, and its decisions."""
    net = build_net()
    with torch.no_grad():
        net[-1].bias -= net(images).mean(dim=0)
        targets = net(images).argmax(dim=1)
    assert targets.unique().numel() >= 4
    return net, targets


def inputs(dtype=torch.float32):
    """Everything that a metric can ask for; the fourth map is zero, the sixth has no object."""
    generator = torch.Generator().manual_seed(0)
    attribution = torch.randn(COUNT, SIDE, SIDE, generator=generator)
    foreground = torch.rand(COUNT, SIDE, SIDE, generator=generator) < 0.4
    attribution[3], foreground[5] = 0, False
    images = torch.randn(COUNT, 3, SIDE, SIDE, generator=generator)
    net, targets = decided(images)
    return {
        "model": net.to(dtype),
        "images": images.to(dtype),
        "attribution": attribution.to(dtype),
        "targets": targets,
        "foreground": foreground,
        "method": "input_x_gradient",
    }


def part(given, rows):
    return {k: v[rows] if isinstance(v, torch.Tensor) else v for k, v in given.items()}


@pytest.mark.parametrize("name", NAMES)
def test_function(name):
    """(B,) in float32 and in the range, some of it known; the inputs stay as they were."""
    spec, given = METRICS[name], inputs()
    before = copy.deepcopy(given)
    given["model"].train()
    values = spec(**given)
    assert values.shape == (COUNT,) and values.dtype is torch.float32
    known = values[~values.isnan()]
    assert len(known) >= 4 and known.unique().numel() > 1
    assert (known >= spec.range[0] - 1e-6).all() and (known <= spec.range[1] + 1e-6).all()
    if spec.needs_foreground:
        assert values[5].isnan()
    if "attribution" in spec.needs:
        assert values[3].isnan()
    assert all(module.training for module in given["model"].modules())
    for key in ("images", "attribution", "foreground"):
        assert torch.equal(given[key], before[key])
    for mine, old in zip(given["model"].parameters(), before["model"].parameters(), strict=True):
        assert torch.equal(mine, old) and mine.grad is None


@pytest.mark.parametrize("name", NAMES)
def test_class(name):
    """Two batches: the mean of the function's values; attributes; reset, copies, a collection."""
    spec, given = METRICS[name], inputs()
    metric = getattr(sib.metrics, spec.class_name)()
    assert isinstance(metric, Metric) and type(metric) is sib.metrics.metric_class(spec)
    assert metric.higher_is_better is spec.higher_is_better
    values = []
    for rows in (slice(0, 5), slice(5, COUNT)):
        batch = part(given, rows)
        metric.update(*(batch[need] for need in spec.needs))
        values.append(spec(**batch))
    values = torch.cat(values)
    known = int((~values.isnan()).sum())
    assert metric.compute().item() == pytest.approx(values.nanmean().item(), abs=1e-6)
    assert metric.counts() == (known, COUNT - known)
    for twin in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert twin.compute() == metric.compute() and type(twin) is type(metric)
    collection = MetricCollection([type(metric)()])
    collection.update(**given)  # each takes what it needs
    whole = spec(**given).nanmean().item()
    assert collection.compute()[spec.class_name].item() == pytest.approx(whole, abs=1e-6)
    metric.reset()
    assert metric.counts() == (0, 0)
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert metric.compute().isnan()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OF_THE_BATCH])
def test_an_image_does_not_depend_on_its_batch(name):
    spec, given = METRICS[name], inputs()
    together = spec(**given)
    alone = torch.cat([spec(**part(given, slice(i, i + 1))) for i in range(COUNT)])
    torch.testing.assert_close(alone, together, equal_nan=True, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", OF_MAPS)
def test_precision_of_maps(name, dtype):
    """Maps that the coarser type holds exactly have the same values in both."""
    spec, given = METRICS[name], inputs()
    coarse = given["attribution"].to(torch.bfloat16).to(dtype)
    exact = spec(attribution=coarse.float(), foreground=given["foreground"])
    found = spec(attribution=coarse, foreground=given["foreground"])
    torch.testing.assert_close(found, exact, equal_nan=True, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OF_MODELS)
def test_precision_of_models(name):
    spec = METRICS[name]
    single, double = spec(**inputs()), spec(**inputs(torch.float64))
    torch.testing.assert_close(single, double, equal_nan=True, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("name", OF_MAPS)
def test_gradient(name):
    """Against central differences, where the registry promises one; none elsewhere."""
    spec, given = METRICS[name], inputs()
    rows = [0, 1, 2]
    foreground = given["foreground"][rows]
    maps = given["attribution"][rows].double().requires_grad_()

    def total(attribution):
        return spec(attribution=attribution, foreground=foreground).double().sum()

    if not spec.differentiable:
        values = total(maps)
        assert not values.requires_grad or not torch.autograd.grad(values, maps)[0].any()
        return
    (gradient,) = torch.autograd.grad(total(maps), maps)
    step = 1e-2
    for place in [(0, 0, 0), (1, 3, 4), (2, 9, 9), (0, 5, 5), (1, 0, 7)]:
        if maps[place].abs() < step:
            continue  # a kink at zero
        moved = [maps.detach().clone() for _ in range(2)]
        moved[0][place] += step
        moved[1][place] -= step
        expected = (total(moved[0]) - total(moved[1])) / (2 * step)
        assert gradient[place].item() == pytest.approx(expected.item(), abs=2e-4), place


@pytest.mark.parametrize("name", NAMES)
def test_plot(name):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    spec = METRICS[name]
    metric = getattr(sib.metrics, spec.class_name)()
    metric.update(*(inputs()[need] for need in spec.needs))
    figure, axes = metric.plot()
    assert len(axes.lines) + len(axes.collections) >= 1
    given, drawn = pyplot.subplots()
    assert metric.plot([torch.tensor(0.25), torch.tensor(0.5)], drawn) == (None, drawn)
    assert len(drawn.lines) + len(drawn.collections) >= 1
    pyplot.close(figure)
    pyplot.close(given)


def test_plot_without_matplotlib_names_the_extra(monkeypatch):
    metric = sib.metrics.Sparseness()
    metric.update(torch.rand(2, 3, 3))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        ImportError, match='plot\\(\\) needs matplotlib: pip install "sib\\[report\\]"'
    ):
        metric.plot()


def test_options_of_a_class():
    metric = sib.metrics.BackgroundLeakage(3.0)
    assert metric.ceiling == 3 and metric.options == {"ceiling": 3.0}
    assert sib.metrics.InsertionArea(5, "mean").options["baseline"] == "mean"
    with pytest.raises(TypeError, match="BackgroundLeakage takes each of ceiling once"):
        sib.metrics.BackgroundLeakage(3.0, ceiling=3.0)
    with pytest.raises(TypeError, match="PointingGame takes each of no options once"):
        sib.metrics.PointingGame(1)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: `wrong`"):
        sib.metrics.PointingGame(wrong=1)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = metric.nothing
