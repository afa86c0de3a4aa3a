"""Shared fixtures."""

import ctypes
import gc
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
import torch

from helpers.official import MAKERS
from sib.data.datasets.digits import Digits
from sib.training import cost

pytest_plugins = ["helpers.costs"]

torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def own_explanations(monkeypatch):
    """What a test registers as an explanation method is gone after it."""
    from sib.explain import registry

    monkeypatch.setattr(registry, "_methods", dict(registry._methods))
    monkeypatch.setattr(registry, "_plugins_loaded", [])


@pytest.fixture
def shared_data():
    """The folder of real images beside the project."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data is absent")
    return SHARED


@pytest.fixture
def stored_names(monkeypatch):
    """The run folder of tests/fixtures names its network ``nets:group_norm_net``."""
    monkeypatch.syspath_prepend(Path(__file__).with_name("helpers"))


@pytest.fixture(scope="session", autouse=True)
def _imported_objects_stay():
    """The collector does not walk through all that was imported, a third of a second each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module", autouse=True)
def _free_memory(_imported_objects_stay):
    """What a module's networks took goes back to the system, where the allocator knows how."""
    yield
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """Caches of images go where the tests' other files go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _short_timing():
    """Before a run a step is timed once, not three times, and on four images of the batch."""

    estimate_cost = cost.estimate_cost

    def estimate(task, images, labels, *rest, foreground=None):
        few = None if foreground is None else foreground[:4]
        return estimate_cost(task, images[:4], labels[:4], *rest, repeats=1, foreground=few)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "estimate_cost", estimate)
        yield estimate_cost


@pytest.fixture
def timed_on_whole_batches(_short_timing, monkeypatch):
    """What a run's first batch takes is measured with all of its images."""
    monkeypatch.setattr(cost, "estimate_cost", _short_timing)


@pytest.fixture(scope="session", autouse=True)
def drawn_once():
    """A built-in image is drawn once for all tests of a process; gives the function that draws."""
    draw = Digits._draw

    @cache
    def drawn(side, strength, seed, split, index):
        return draw(Digits(split, index + 1, side, strength, seed), index)

    def look_up(source, index):
        key = source.image_size, source.background_strength, source.seed, source.split
        return drawn(*key, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Digits, "_draw", look_up)
        yield draw


@pytest.fixture(scope="session")
def published_root(tmp_path_factory):
    """The root below which a tiny version of a published set stands, made on its first use.

    Tests must not write there.
    """

    @cache
    def make(name):
        return MAKERS[name](tmp_path_factory.mktemp(name))

    return make
