"""What tests cost: the peak memory of each worker, and with SIB_TEST_COSTS=FILE each test's share.

A line of the file is a test's processor seconds, its subprocesses' included, the peak memory in MB
that its worker had reached at its end, the worker and the test.
"""

import os
import resource
import sys

import pytest

LIMIT = 2_000_000_000
"""Bytes that no worker of `make test` should exceed."""

_peaks: dict[str, int] = {}


def _peak() -> int:
    """The largest resident size of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _seconds() -> float:
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    before = _seconds()
    result = yield
    if name := os.environ.get("SIB_TEST_COSTS"):
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        with open(name, "a") as file:
            file.write(f"{_seconds() - before:.2f} {_peak() // 10**6} {worker} {item.nodeid}\n")
    return result


def pytest_sessionfinish(session):
    if output := getattr(session.config, "workeroutput", None):
        output["peak"] = _peak()
        return
    if not _peaks:
        _peaks["this process"] = _peak()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    if peak := getattr(node, "workeroutput", {}).get("peak"):
        _peaks[node.gateway.id] = peak


def pytest_terminal_summary(terminalreporter):
    peaks = ", ".join(f"{name} {peak / 1e9:.1f} GB" for name, peak in sorted(_peaks.items()))
    terminalreporter.write_line(f"peak memory: {peaks}; the budget is {LIMIT / 1e9:.0f} GB")
