"""A training run, shown to a person on a terminal or in a log."""

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape

from sib import distributed
from sib.config.train import TrainConfig
from sib.data import Splits
from sib.data.understood import plural, remarks, understood
from sib.objectives.registry import method_title
from sib.training.cost import Cost
from sib.utils.image_size import size_in_words
from sib.utils.progress_bar import tracked

NARROW = 120
"""Columns below which a line about an epoch uses short names."""


class ConsoleReporter:
    """One line before the run, a live bar in each epoch, one line after it.

    Args:
        console: where to write; the bar shows on a terminal only.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._epochs = 0
        self._began: tuple[int, float] | None = None
        """The first epoch of this process, and when it began."""
        self._left_out: set[str] = set()
        """Sentences about images that could not be read, as far as they were shown."""

    def data(self, splits: Splits, config: TrainConfig) -> None:
        """What was found."""
        self._epochs = config.epochs
        self._line(f"[bold]{escape(splits.name)}[/]: {escape(understood(splits))}")
        for remark in remarks(splits):
            self.info(remark)
        if config.selection == "test":
            self._line(
                "[yellow]selection on test[/]: the best epoch is chosen on the test split, as "
                "published, so its figure will be optimistic"
            )

    def info(self, sentence: str) -> None:
        """One sentence that the user should know."""
        self._line(escape(sentence))

    def batches(self, what: str, loader: Any) -> Iterator[Any]:
        """Batches behind a progress bar."""
        yield from tracked(self.console, what, loader, len(loader))

    def cost(self, cost: Cost, config: TrainConfig, steps: int) -> None:
        """What the run will cost."""
        step = f"plain step {cost.plain_step:.3g} s"
        if config.method != "ce":
            ratio = cost.sib_step / cost.plain_step
            step += f", {method_title(config.method)} step {cost.sib_step:.3g} s ({ratio:.2f}×)"
        processes = distributed.size()
        if processes > 1:
            step += (
                f"; {processes} processes × {config.batch_size} = "
                f"{processes * config.batch_size} images a step"
            )
        self._line(
            f"[bold]{config.arch}[/] at {size_in_words(config.side)}: "
            f"{_parameters(cost)}; {step}; {steps} steps, about "
            f"{duration(cost.total)} of training; peak memory {cost.memory / 2**30:.2f} GiB"
        )

    def steps(self, epoch: int, loader: Any) -> Iterator[Any]:
        """The batches of an epoch behind a progress bar."""
        title = f"epoch {epoch + 1}/{self._epochs}{self._left(epoch)}"
        yield from tracked(self.console, title, loader, len(loader), loader.start, "steps")

    def _left(self, epoch: int) -> str:
        """About how long the rest of the run takes, as the epochs of this process did."""
        now = time.monotonic()
        if self._began is None:
            self._began = (epoch, now)
        first, began = self._began
        if epoch == first:
            return ""
        left = (now - began) / (epoch - first) * (self._epochs - epoch)
        return f" (run: {duration(left)} left)"

    def epoch(self, record: dict[str, Any]) -> None:
        """One finished epoch."""
        split = "validation" if "validation" in record else "test"
        measured = record[split]
        narrow = self.console.is_terminal and self.console.width < NARROW
        parts = [
            f"epoch {record['epoch']:>{len(str(self._epochs))}}/{self._epochs}",
            f"{'CE' if narrow else 'cross-entropy'} {record['cross_entropy']:.3f}",
            f"{split} {'' if narrow else 'accuracy '}{measured['accuracy']:.3f}",
        ]
        if "map_macro" in measured:  # by which the best epoch is chosen
            loss = "BCE" if narrow else "binary cross-entropy"
            parts[1:] = [
                f"{loss} {record['cross_entropy']:.3f}",
                f"{split} mAP {measured['map_macro']:.3f}",
            ]
            parts += [] if narrow else [f"accuracy of the whole set {measured['accuracy']:.3f}"]
        if measured["annotated"]:
            parts.append(
                f"{'' if narrow else 'foreground '}energy {measured['foreground_energy']:.3f}"
            )
        if "gradient_ratio" in record and not narrow:
            parts.append(f"gradient of the terms {record['gradient_ratio']:.2g} × cross-entropy's")
        parts.append(f"{record['images_per_second']:.0f} images/s")
        best = f"  [green]{record['best']}[/]" if record["best"] else ""
        self._line("  ".join(parts) + best)
        undone, small = record.get("steps_taken_back", 0), record.get("batches_too_small", 0)
        if undone:
            steps = f"{undone} step{'s' * (undone != 1)}"
            self.info(f"undone: {steps} with a loss or gradient that was not finite")
        if small:
            self.info(
                f"left out: {small} batch{'es' * (small != 1)} with too few images for a step"
            )
        lost = [each for each in record.get("left_out", []) if each not in self._left_out]
        if lost:
            self._left_out.update(lost)
            self.info(f"left out: {plural(len(lost))} that cannot be read, the first: {lost[0]}")

    def result(self, result: dict[str, Any]) -> None:
        """The test, once."""
        test = result["test"]
        text = (
            f"[bold]test[/] (epoch {result['best_epoch']}, best on {result['selection']}): "
            f"accuracy {test['accuracy']:.3f}"
        )
        if "map_macro" in test:
            text = text.replace(
                "accuracy",
                f"mAP {test['map_macro']:.3f} (micro {test['map_micro']:.3f}), F1 at 0.5 "
                f"{test['f1_macro']:.3f} (micro {test['f1_micro']:.3f}), accuracy of the whole set",
            )
        if test["annotated"]:
            text += (
                f", foreground energy {test['foreground_energy']:.3f} "
                f"(an even map: {test['foreground_share']:.3f})"
            )
        self._line(text)
        if "note" in result:
            self._line(f"[yellow]{escape(result['note'])}[/]")

    def _line(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _parameters(cost: Cost) -> str:
    """How many parameters there are, and how many of them are trained if some are frozen."""
    words = f"{(cost.parameters + cost.frozen) / 1e6:.2f} M parameters"
    return f"{words}, {cost.parameters:,} of them trained" if cost.frozen else words
