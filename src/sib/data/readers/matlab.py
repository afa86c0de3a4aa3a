"""Read the lists of Stanford Dogs, which are MATLAB files."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from sib.utils.errors import InputError

CHILD = """
import json, sys
import numpy, scipy.io

def plain(cell):
    if isinstance(cell, numpy.ndarray) and cell.dtype.kind in "OU":
        return plain(cell.flat[0]) if cell.size == 1 else None
    return str(cell) if isinstance(cell, str) else None

def column(value):
    numbers = value.dtype.kind in "iuf"
    return [list(value.shape), value.ravel().tolist() if numbers else list(map(plain, value.flat))]

names, *paths = json.loads(sys.argv[1])
for path in paths:
    try:
        table = scipy.io.loadmat(path, variable_names=names)
        answer = {"found": {name: column(table[name]) for name in names if name in table}}
    except Exception as error:
        answer = {"error": " ".join(str(error).split()) or type(error).__name__}
    print(json.dumps(answer), flush=True)
"""
LONGEST = 120
"""Seconds allowed for a file; it takes less than one."""


class Table(NamedTuple):
    """One variable of a MATLAB file."""

    shape: tuple[int, ...]
    values: list[Any]
    """In row order: numbers, or the text of each cell, None for a cell of another kind."""


def read_mats(paths: list[Path], names: list[str]) -> list[dict[str, Table]]:
    """Those of the variables that each MATLAB file holds.

    scipy reads them in a separate process: a damaged file can crash scipy's reader, which would end
    a training run.

    Raises:
        InputError: a file cannot be read.
    """
    request = json.dumps([names, *(str(path.absolute()) for path in paths)])
    # -P: no module is taken from the folder where the command happens to run
    command = [sys.executable, "-P", "-c", CHILD, request]
    try:
        lines = subprocess.run(command, capture_output=True, timeout=LONGEST).stdout.splitlines()
    except subprocess.TimeoutExpired as stop:
        lines = (stop.stdout or b"").splitlines()
    # a file without an answer is the one that crashed the reader
    answers = [json.loads(line) for line in lines] + [{"error": "it is damaged"}] * len(paths)
    return [_tables(path, answer) for path, answer in zip(paths, answers, strict=False)]


def _tables(path: Path, answer: dict[str, Any]) -> dict[str, Table]:
    if "error" in answer:
        raise InputError(f"{path} cannot be read as a MATLAB file: {answer['error']}")
    found = answer["found"].items()
    return {name: Table(tuple(shape), values) for name, (shape, values) in found}
