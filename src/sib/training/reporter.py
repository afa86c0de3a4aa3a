"""Who shows a run to a person."""

from collections.abc import Iterator
from typing import Any, Protocol

from sib.config.train import TrainConfig
from sib.data import Splits
from sib.training.cost import Cost


class Reporter(Protocol):
    """Is told of every stage of a run; see `sib.cli.console`."""

    def data(self, splits: Splits, config: TrainConfig) -> None: ...
    def info(self, sentence: str) -> None: ...
    def caching(self, loader: Any) -> Iterator[Any]: ...
    def cost(self, cost: Cost, config: TrainConfig, steps: int) -> None: ...
    def steps(self, epoch: int, loader: Any) -> Iterator[Any]: ...
    def epoch(self, record: dict[str, Any]) -> None: ...
    def result(self, result: dict[str, Any]) -> None: ...


class NullReporter:
    """Shows nothing: the reporter of every process but the first."""

    def data(self, splits: Splits, config: TrainConfig) -> None:
        """Of no interest."""

    def info(self, sentence: str) -> None:
        """Of no interest."""

    def caching(self, loader: Any) -> Iterator[Any]:
        """The batches of a cache in the making."""
        yield from loader

    def cost(self, cost: Cost, config: TrainConfig, steps: int) -> None:
        """Of no interest."""

    def steps(self, epoch: int, loader: Any) -> Iterator[Any]:
        """The batches of an epoch."""
        yield from loader

    def epoch(self, record: dict[str, Any]) -> None:
        """Of no interest."""

    def result(self, result: dict[str, Any]) -> None:
        """Of no interest."""
