"""A training run, shown to a person on a terminal or in a log."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sib.data import Splits
from sib.training import distributed
from sib.training.config import TrainConfig
from sib.training.cost import Cost


class ConsoleWatcher:
    """One line before the run, a live bar in each epoch, one line after it.

    Args:
        console: where to write; the bar shows on a terminal only.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._epochs = 0

    def data(self, splits: Splits, config: TrainConfig) -> None:
        """What was found."""
        self._epochs = config.epochs
        annotated = "with foregrounds" if splits.test.annotated else "without foregrounds"
        self.console.print(
            f"[bold]{splits.name}[/]: {len(splits.train)} images to train, "
            f"{len(splits.validation)} to validate, {len(splits.test)} to test, "
            f"{len(splits.classes)} classes, {annotated}",
            highlight=False,
            soft_wrap=True,
        )

    def cost(self, cost: Cost, config: TrainConfig, steps: int) -> None:
        """What the run will cost."""
        step = f"plain step {cost.plain_step:.3g} s"
        if config.method == "sib":
            ratio = cost.sib_step / cost.plain_step
            step += f", S-IB step {cost.sib_step:.3g} s ({ratio:.2f}×)"
        processes = distributed.size()
        if processes > 1:
            step += (
                f"; {processes} processes × {config.batch_size} = "
                f"{processes * config.batch_size} images a step"
            )
        self.console.print(
            f"[bold]{config.arch}[/] at {config.side} × {config.side}: "
            f"{cost.parameters / 1e6:.2f} M parameters; {step}; {steps} steps, about "
            f"{duration(cost.total)} of training; peak memory {cost.memory / 2**30:.2f} GiB",
            highlight=False,
            soft_wrap=True,
        )

    def steps(self, epoch: int, loader: Any) -> Iterator[Any]:
        """The batches of an epoch behind a progress bar."""
        with Progress(
            TextColumn(f"epoch {epoch + 1}/{self._epochs}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps, remaining"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as progress:
            yield from progress.track(loader, total=len(loader), completed=loader.start)

    def epoch(self, record: dict[str, Any]) -> None:
        """One finished epoch."""
        validation = record["validation"]
        parts = [
            f"epoch {record['epoch']:>{len(str(self._epochs))}}/{self._epochs}",
            f"cross-entropy {record['cross_entropy']:.3f}",
            f"validation accuracy {validation['accuracy']:.3f}",
        ]
        if validation["annotated"]:
            parts.append(f"foreground energy {validation['foreground_energy']:.3f}")
        if "gradient_ratio" in record:
            parts.append(f"S-IB/CE gradient {record['gradient_ratio']:.1e}")
        parts.append(f"{record['images_per_second']:.0f} images/s")
        best = "  [green]best[/]" if record["best"] else ""
        self.console.print("  ".join(parts) + best, highlight=False, soft_wrap=True)

    def result(self, result: dict[str, Any]) -> None:
        """The test, once."""
        test = result["test"]
        text = (
            f"[bold]test[/] (epoch {result['best_epoch']}, best on validation): "
            f"accuracy {test['accuracy']:.3f}"
        )
        if test["annotated"]:
            text += (
                f", foreground energy {test['foreground_energy']:.3f} "
                f"(a map without preference: {test['foreground_share']:.3f})"
            )
        self.console.print(text, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
