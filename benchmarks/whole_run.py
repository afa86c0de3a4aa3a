"""Where the time of a whole run goes: start, steps, input, validation, test, evaluation.

python benchmarks/whole_run.py FOLDER [--weights FILE] [--out benchmarks/results/whole-run-cpu.json]

The run is that of `sib train`, in a process of its own whose start counts. Shares of one run on one
machine: compare rows of the same call only.
"""

import multiprocessing as mp
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

PARTS = ("start", "step", "input and saving", "validation", "test", "evaluation")


@dataclass(frozen=True)
class Options:
    """Time the parts of whole runs."""

    data: Annotated[str, tyro.conf.Positional]
    """Folder of images with foregrounds."""
    arch: str = "timm/tf_efficientnet_lite0"
    """Architecture."""
    weights: str | None = None
    """Weights to start from; random ones without."""
    methods: tuple[str, ...] = ("ce", "sib")
    """Training methods; each gets a run."""
    image_size: int = 112
    """Side of the square images."""
    epochs: int = 2
    """Epochs of each run."""
    batch_size: int = 16
    """Images in a step."""
    workers: int = 1
    """Processes that read images."""
    device: str = "auto"
    """auto, cpu or cuda."""
    evaluate: int = 100
    """Test images of the evaluation, with the default methods of explanation; 0 for none."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    rows: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    for method in options.methods:
        with _process() as process, tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            seconds, facts = process.submit(_run, options, method, out, time.time()).result()
        rows.append({"method": method, "seconds": seconds})
    if options.out is not None:
        from timing import save

        chosen = {name: getattr(options, name) for name in ("arch", "image_size", "epochs")}
        chosen |= {"batch_size": options.batch_size, "images_evaluated": options.evaluate}
        save(options.out, {"machine": facts, **chosen, "rows": rows})
    Console(width=100).print(_table(rows))


def _process() -> ProcessPoolExecutor:
    """A process of its own, which may have processes that read images."""
    return ProcessPoolExecutor(1, mp_context=mp.get_context("spawn"))


def _table(rows: list[dict[str, Any]]) -> Table:
    found = Table("method", "seconds", *PARTS, title="share of a whole run")
    for row in rows:
        total = sum(row["seconds"].values())
        shares = [f"{row['seconds'][part] / total:.1%}" for part in PARTS]
        found.add_row(row["method"], f"{total:.0f}", *shares)
    return found


def _run(
    options: Options, method: str, out: Path, started: float
) -> tuple[dict[str, float], dict[str, Any]]:
    """Train and evaluate once; seconds of each part, and the machine."""
    from timing import machine

    from sib.config.evaluate import EvaluateConfig
    from sib.config.train import TrainConfig
    from sib.evaluation.evaluate import evaluate
    from sib.training import loop
    from sib.training.reporter import NullReporter
    from sib.training.step import TrainStep
    from sib.utils.device import choose_device

    clock = Clock(started)
    TrainStep.run = clock.timing("step", TrainStep.run)  # type: ignore[method-assign]
    loop.Training._train_epoch = clock.timing(  # type: ignore[method-assign]
        "epoch", loop.Training._train_epoch
    )
    loop.Training._test = clock.timing("test", loop.Training._test)  # type: ignore[method-assign]
    loop.measure = clock.timing("measure", loop.measure)
    config = TrainConfig(
        data=options.data,
        arch=options.arch,
        weights=options.weights,
        method=method,
        image_size=options.image_size,
        epochs=options.epochs,
        batch_size=options.batch_size,
        workers=options.workers,
        device=options.device,
        out=out,
    )
    loop.train(config, NullReporter())
    trained = time.time()
    if options.evaluate:
        asked = EvaluateConfig(run=out, limit=options.evaluate, device=options.device)
        evaluate(asked, Console(quiet=True))
    return clock.parts(time.time() - trained), machine(choose_device(options.device))


class Clock:
    """Seconds of named calls."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.first: float | None = None
        """Seconds from the start of the process to its first step."""
        self.seconds: Counter[str] = Counter()

    def timing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose seconds are added under a name."""

        def timed(*arguments: Any) -> Any:
            if name == "step" and self.first is None:
                self.first = time.time() - self.started
            start = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                self.seconds[name] += time.perf_counter() - start

        return timed

    def parts(self, evaluation: float) -> dict[str, float]:
        """Seconds of each part."""
        seconds = self.seconds
        found = {
            "start": self.first or 0.0,
            "step": seconds["step"],
            "input and saving": seconds["epoch"] - seconds["step"],
            "validation": seconds["measure"] - seconds["test"],
            "test": seconds["test"],
            "evaluation": evaluation,
        }
        return {name: max(0.0, each) for name, each in found.items()}


if __name__ == "__main__":
    main(tyro.cli(Options))
