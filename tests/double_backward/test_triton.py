"""The GPU kernels of batch norm, computed by Triton's interpreter on the CPU."""

import json
import os
import subprocess
import sys

import pytest

import helpers

pytest.importorskip("triton", minversion="3.3", reason="older interpreters fail with NumPy 2.4")


def test_kernels_give_the_derivatives_of_torch():
    done = subprocess.run(
        [sys.executable, f"{helpers.__path__[0]}/interpreted.py"],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["errors"]) == 4
    for case, errors in found["errors"].items():
        assert max(errors) < 1e-5, case
    assert found["count"] == [[4096.0] * 2] * 3
