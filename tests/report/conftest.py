"""A page that the tests of the report read."""

import pytest

from helpers.trained import evaluated, quiet
from sib.config.report import ReportConfig
from sib.report.command import report


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """A report about four runs: two methods, two seeds."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    runs = tuple(evaluated(method, seed) for method in ("ce", "sib") for seed in (0, 1))
    report(ReportConfig(runs=runs, out=out, images=3, device="cpu"), quiet())
    return out
