"""The registry: what it refuses, what derives from it, and metrics of other packages."""

import inspect
import json
import sys
from pathlib import Path

import pytest
import torch

import sib
from helpers import fresh
from helpers.trained import trained
from sib.evaluation.measures import DEFAULT, MEASURES, score
from sib.metrics.registry import BUILT_IN, INPUTS, METRICS, MetricSpec, Registry, needs_of
from sib.utils.errors import InputError

PLUGIN = """
import torch
from sib.metrics import MetricSpec

def peak_share(attribution, *, power=1.0):
    rows = attribution.abs().flatten(1) ** power
    return rows.amax(dim=1) / rows.sum(dim=1)

PEAK_SHARE = MetricSpec("peak_share", "peak", peak_share, range=(0, 1))
"""


@pytest.fixture
def toy():
    """A registered metric, removed again afterwards."""

    def toy_total(attribution, *, factor=1.0):
        return factor * attribution.flatten(1).sum(dim=1)

    yield sib.metrics.register("toy_total", toy_total, title="total", higher_is_better=False)
    sib.metrics.unregister("toy_total")


def test_a_registered_metric_is_everywhere(toy):
    assert toy.needs == ("attribution",) and MEASURES["toy_total"] is toy
    assert "toy_total" in sib.metrics.MAP_MEASURES
    metric = sib.metrics.ToyTotal(factor=2.0)
    metric.update(torch.ones(2, 3, 3))
    assert metric.compute() == 18 and metric.higher_is_better is False
    maps = torch.ones(2, 3, 3)
    nothing = torch.zeros(2, 3, 3, dtype=torch.bool)
    found = score("toy_total", "vjp", None, torch.ones(2, 1, 3, 3), maps, None, nothing)
    assert found.tolist() == [9, 9]


def test_every_need_is_a_parameter_of_the_function():
    for spec in BUILT_IN:
        assert needs_of(spec.load())[: len(spec.needs)] == spec.needs, spec.name
        rest = list(inspect.signature(spec.load()).parameters.values())[len(spec.needs) :]
        given = [each for each in rest if each.kind is not each.VAR_KEYWORD]
        assert all(parameter.default is not parameter.empty for parameter in given), spec.name
        assert spec.source and spec.title


def test_names_and_classes_are_unique():
    for field in ("name", "class_name", "title"):
        values = [getattr(spec, field) for spec in BUILT_IN]
        assert len(set(values)) == len(values)
    assert DEFAULT == (
        "energy_pointing_game",
        "background_leakage",
        "pointing_game",
        "top_pixel_iou",
        "relevance_rank_accuracy",
        "sparseness",
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "two words"}, "must be a Python name; got 'two words'"),
        ({"function": lambda nothing: nothing}, f"one or more of {', '.join(INPUTS)}; got nothing"),
        ({"function": lambda: 0}, "got nothing"),
        ({"range": (1, 0)}, r"must have range \(low, high\); got \(1, 0\)"),
    ],
)
def test_what_is_no_metric_is_refused(fields, sentence):
    given = {"name": "mine", "function": lambda attribution: attribution, **fields}
    with pytest.raises(ValueError, match=sentence):
        sib.metrics.register(**given)
    assert "mine" not in METRICS


def test_names_that_are_taken_are_refused(toy):
    with pytest.raises(ValueError, match="already a metric named toy_total"):
        sib.metrics.register("toy_total", toy.function)
    with pytest.raises(ValueError, match="needs another class name: ToyTotal is that of toy_total"):
        sib.metrics.register("other", toy.function, class_name="ToyTotal")
    with pytest.raises(ValueError, match="there is no metric named nothing"):
        sib.metrics.unregister("nothing")


def test_values_of_another_shape_are_refused():
    sib.metrics.register("scalar", lambda attribution: attribution.sum())
    try:
        with pytest.raises(ValueError, match=r"metric scalar must return \(2,\) values; got \(\)"):
            score("scalar", "vjp", None, torch.ones(2, 1, 3, 3), torch.ones(2, 3, 3), None, None)
    finally:
        sib.metrics.unregister("scalar")


def install(folder: Path, source: str, entry: str = "peak_share = sib_peak:PEAK_SHARE") -> None:
    """What pip leaves of a package with one module and one entry point."""
    info = folder / "sib_peak-1.0.dist-info"
    info.mkdir()
    (folder / "sib_peak.py").write_text(source)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sib-peak\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sib.metrics]\n{entry}\n")


def test_a_metric_of_another_package_from_the_command_line(tmp_path):
    install(tmp_path, PLUGIN)
    run = trained()
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from sib.cli import main\n"
        f"code = main(['evaluate', {str(run)!r}, '--methods', 'saliency', '--metrics',\n"
        f"    'peak_share', 'sparseness', '--limit', '4', '--out', {str(tmp_path / 'out')!r},\n"
        "    '--device', 'cpu'])\n"
        "import pickle, sib, torch\n"
        "metric = pickle.loads(pickle.dumps(sib.metrics.PeakShare(power=2.0)))\n"
        "metric.update(torch.tensor([[[1.0, 2.0]]]))\n"
        "assert abs(metric.compute().item() - 0.8) < 1e-6\n"
        "sys.exit(code)"
    )
    done = fresh.run(code)
    assert done.returncode == 0, done.stderr
    assert "peak" in done.stdout
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert 0 < found["table"]["saliency"]["peak_share"]["mean"] < 1


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "PEAK_SHARE = 3",
            "'peak_share' in sib.metrics must be a sib.metrics.MetricSpec",
        ),
        ("raise OSError('no licence')", "'peak_share' of sib-peak 1.0 cannot be loaded"),
    ],
)
def test_a_package_that_offers_no_metric_is_named(tmp_path, monkeypatch, source, sentence):
    install(tmp_path, source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "sib_peak", raising=False)
    registry = Registry(BUILT_IN)
    assert registry["sparseness"].title == "sparse"  # built-in names need no other package
    for _ in range(2):  # the second time too
        with pytest.raises(InputError, match=sentence):
            list(registry)


def test_the_registry_is_read_without_torchmetrics_and_captum():
    code = (
        "import sys, sib; list(sib.metrics.METRICS); dir(sib.metrics); "
        "assert not {'torchmetrics', 'captum', 'torchvision'} & set(sys.modules)"
    )
    done = fresh.run(code)
    assert done.returncode == 0, done.stderr


def test_classes_without_torchmetrics_name_the_extra():
    code = (
        "import sys; sys.modules['torchmetrics'] = None\n"
        "import sib, torch\n"
        "sib.metrics.gini_sparseness(torch.ones(1, 2, 2))\n"
        "try:\n    sib.metrics.Sparseness\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = fresh.run(code)
    assert done.returncode == 0, done.stderr
    assert 'pip install "sib[explain]"' in done.stdout


def test_a_spec_can_be_called_with_more_than_it_needs():
    spec = MetricSpec("area", "area", lambda foreground: foreground.flatten(1).float().mean(1))
    assert spec.needs_foreground and not spec.needs_model
    assert spec(foreground=torch.ones(1, 2, 2), attribution=None).tolist() == [1]
