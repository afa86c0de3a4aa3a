"""What benchmarks/gpu.sh found: the facts of the machine, one JSON file, a table.

gpu_report.py facts FILE | join WORK_FOLDER FILE | show FILE

Only ``facts`` loads torch.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

Json = dict[str, Any]
PACKAGES = ("torch", "torchvision", "timm", "triton", "numpy", "captum", "torchcam", "torchmetrics")
SMI = "name,driver_version,memory.total,power.limit,clocks.max.sm"

STEPS = ("graphs", "small_batches", "steps", "precisions")
"""Sections that timed steps."""
REASONS = {"124": "out of time", "137": "out of time", "skipped": "no time was left"}


def facts() -> Json:
    """GPU, driver, versions, date and commit."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "gpu_memory_bytes": torch.cuda.get_device_properties(0).total_memory if cuda else None,
        "driver": _said("nvidia-smi", f"--query-gpu={SMI}", "--format=csv,noheader"),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "processor_cores": os.cpu_count(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def commit() -> str:
    """Of the source: of its git checkout, else what COMMIT says."""
    found = _said("git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD")
    return found or os.environ.get("COMMIT") or "unknown"


def join(work: Path) -> Json:
    """All that is in a work folder so far."""
    result: Json = {"facts": _read(work / "facts.json"), "sections": list(_sections(work))}
    for name in (*STEPS, "head", "explanations"):
        result[name] = _read(work / f"{name}.json")
    result["tests"] = tests(work / "tests.xml")
    result["study"] = {
        name: _read(work / "run" / f"{name}.json") for name in ("result", "evaluation")
    }
    result["speed_over_naive_float32"] = speeds(result)
    return result


def _sections(work: Path) -> Iterator[Json]:
    """How each section ended, with the end of its log where it did not end well."""
    status = work / "status"
    for line in status.read_text().splitlines() if status.is_file() else []:
        name, code, seconds, limit = line.split()
        found: Json = {"name": name, "exit_code": code, "seconds": seconds, "limit": limit}
        log = work / f"{name}.log"
        if code != "0":
            found["reason"] = REASONS.get(code, f"exit code {code}")
        if code != "0" and log.is_file():
            found["log"] = log.read_text(errors="replace").splitlines()[-15:]
        yield found


def tests(path: Path) -> Json | None:
    """Counts, and what failed, of pytest's report."""
    if not path.is_file():
        return None
    root = ElementTree.parse(path).getroot()
    suite = root if root.tag == "testsuite" else root[0]
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    counts["passed"] = counts["tests"] - sum(
        counts[name] for name in ("failures", "errors", "skipped")
    )
    failed = {}
    for case in suite.iter("testcase"):
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                message = (child.get("message") or "").strip().splitlines()
                failed[case.get("name", "")] = f"{child.tag}: {message[0] if message else ''}"[:300]
    return {**counts, "seconds": float(suite.get("time", 0)), "not_passed": failed}


def speeds(result: Json) -> dict[str, float]:
    """S-IB's images a second in each setting, over the naive step's in float32."""
    naive = {
        row["architecture"]: row["steps"]["naive"]["images_per_second"]
        for row in _rows(result, "steps")
        if not row["frozen"] and "failed" not in row["steps"].get("naive", {"failed": ""})
    }
    speed = {}
    for row in _step_rows(result):
        for mode in ("sib", "calibrated", "sib graph", "calibrated graph"):
            rate = row.get("steps", {}).get(mode, {}).get("images_per_second")
            if rate and row["architecture"] in naive and not row["frozen"]:
                speed[f"{row['architecture']} {_format(row)} {mode}"] = (
                    rate / naive[row["architecture"]]
                )
    return speed


def show(result: Json) -> Iterator[str]:
    """The lines of a compact table."""
    known = result["facts"] or {}
    packages = known.get("packages", {})
    yield (
        f"{known.get('gpu') or 'no GPU'} | {known.get('driver') or 'no driver'} | torch "
        f"{packages.get('torch')} CUDA {known.get('cuda')} cuDNN {known.get('cudnn')} | "
        f"{known.get('date')} | {known.get('commit')}"
    )
    yield ""
    heads = ("plain ms", "naive", "sib", "calibr.", "unmeas.", "meas.", "mem naive", "mem sib")
    yield f"{'step, in plain steps':44}" + "".join(f"{head:>10}" for head in (*heads, "mem cal"))
    for row in _rows(result, "steps") + _rows(result, "precisions"):
        yield _step_line(row)
    for row in _rows(result, "graphs") + _rows(result, "small_batches"):
        steps = row.get("steps", {})
        yield f"graphs, {row['architecture']} {_format(row)}, batch {row['batch']}: " + ", ".join(
            f"{mode} {_of(steps, mode, 'ratio')}" for mode in steps if "measured" not in mode
        )
    yield "images a second over naive float32: " + ", ".join(
        f"{name} {speed:.2f}"
        for name, speed in result["speed_over_naive_float32"].items()
        if "float32 sib" not in name and "calibrated" not in name
    )
    for row in _rows(result, "head"):
        yield f"head {row['batch']} × {row['side']}²: naive / ours {row['ratio']:.1f}"
    for row in _rows(result, "explanations"):
        rates = {
            name: f"{each['images_per_second']:.0f}" if "failed" not in each else "failed"
            for name, each in row.get("methods", {}).items()
        }
        yield f"images a second, {row['architecture']}: " + ", ".join(
            f"{name} {rate}" for name, rate in rates.items()
        )
    counts = result["tests"]
    if counts:
        yield (
            f"tests: {counts['passed']} passed, {counts['failures'] + counts['errors']} failed, "
            f"{counts['skipped']} skipped in {counts['seconds']:.0f} s"
        )
        for name, reason in list(counts["not_passed"].items())[:6]:
            yield f"  {name}: {reason[:150]}"
    trained = (result["study"]["result"] or {}).get("test")
    yield f"study: {trained}; evaluated: {result['study']['evaluation'] is not None}"
    for section in result["sections"]:
        end = f" ({section['reason']})" if "reason" in section else ""
        yield f"section {section['name']}: {section['seconds']} s of {section['limit']}{end}"
        if section.get("log"):
            yield f"  {section['log'][-1][:150]}"
    yield from list(failures(result))[:15]


def _step_rows(result: Json) -> list[Json]:
    return [row for name in STEPS for row in _rows(result, name)]


def failures(result: Json) -> Iterator[str]:
    """A line for each network or step that failed."""
    for row in _step_rows(result) + _rows(result, "explanations"):
        where = f"{row['architecture']} {_format(row) if 'precision' in row else ''}"
        every = {"all": row, **row.get("steps", {}), **row.get("methods", {})}
        for name, each in every.items():
            if "failed" in each:
                yield f"failed: {where} {name}: {each['failed'][:150]}"


def _step_line(row: Json) -> str:
    steps = row.get("steps", {})
    plain = steps.get("plain", {}).get("seconds")
    cells = [
        f"{1e3 * plain:.1f}" if plain else "failed",
        *(
            _of(steps, mode, "ratio")
            for mode in (
                "naive",
                "sib",
                "calibrated",
                "calibrated, unmeasured",
                "calibrated, measured",
            )
        ),
        *(_of(steps, mode, "memory_ratio") for mode in ("naive", "sib", "calibrated")),
    ]
    name = row["architecture"].removeprefix("timm/")
    return f"{f'{name} {_format(row)}':44}" + "".join(f"{cell:>10}" for cell in cells)


def _format(row: Json) -> str:
    parts = [row["precision"], "nhwc" if row["channels_last"] else ""]
    return " ".join([*filter(None, parts), *(["frozen"] if row["frozen"] else [])])


def _of(steps: Json, mode: str, key: str) -> str:
    found = steps.get(mode)
    if found is None:
        return "–"
    return "failed" if "failed" in found else f"{found[key]:.2f}" if key in found else "–"


def _rows(result: Json, name: str) -> list[Json]:
    return list((result[name] or {}).get("rows", []))


def _read(path: Path) -> Any:
    """The content of a JSON file; None where a section has not written it, or was writing it."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _said(*command: str) -> str | None:
    """What a command prints; None where it is absent or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def main(arguments: list[str]) -> None:
    """Run one of the commands."""
    match arguments:
        case ["facts", out]:
            _write(Path(out), facts())
        case ["join", work, out]:
            _write(Path(out), join(Path(work)))
        case ["show", path]:
            print("\n".join(show(json.loads(Path(path).read_text()))))
        case _:
            sys.exit(__doc__)


def _write(path: Path, result: Json) -> None:
    whole = path.with_suffix(".part")
    whole.write_text(json.dumps(result, indent=1) + "\n")
    whole.replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])
