"""What shows the course of a run to a person."""

from collections.abc import Iterator
from typing import Any, Protocol

from sib.config.train import TrainConfig
from sib.data import Splits
from sib.training.cost import Cost


class Reporter(Protocol):
    """Shows every stage of a run; see `sib.cli.console`."""

    def data(self, splits: Splits, config: TrainConfig) -> None: ...
    def info(self, sentence: str) -> None: ...
    def batches(self, what: str, loader: Any) -> Iterator[Any]: ...
    def cost(self, cost: Cost, config: TrainConfig, steps: int) -> None: ...
    def steps(self, epoch: int, loader: Any) -> Iterator[Any]: ...
    def epoch(self, record: dict[str, Any]) -> None: ...
    def result(self, result: dict[str, Any]) -> None: ...


class NullReporter:
    """Shows nothing: the reporter of every process but the first."""

    def data(self, splits: Splits, config: TrainConfig) -> None:
        """Do nothing."""

    def info(self, sentence: str) -> None:
        """Do nothing."""

    def batches(self, what: str, loader: Any) -> Iterator[Any]:
        """The batches of something that takes a while."""
        yield from loader

    def cost(self, cost: Cost, config: TrainConfig, steps: int) -> None:
        """Do nothing."""

    def steps(self, epoch: int, loader: Any) -> Iterator[Any]:
        """The batches of an epoch."""
        yield from loader

    def epoch(self, record: dict[str, Any]) -> None:
        """Do nothing."""

    def result(self, result: dict[str, Any]) -> None:
        """Do nothing."""
