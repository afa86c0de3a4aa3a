"""Writing a run's files during training: by the first process, and with one sentence on failure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from sib import distributed
from sib.runs.folder import RunFolder
from sib.utils.errors import TrainingFailed


class Writer:
    """Writes what `RunFolder` offers; in every process but the first it does nothing.

    Args:
        run: the run folder.

    Raises:
        TrainingFailed: a file cannot be written; earlier files stay.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.writes = distributed.is_main_process()

    def log(self, record: dict[str, Any]) -> None:
        """Append an epoch to ``metrics.jsonl``."""
        if self.writes:
            with self._one_sentence():
                self.run.log(record)

    def save_state(self, state: dict[str, Any]) -> None:
        """Write ``state.pt``."""
        if self.writes:
            with self._one_sentence():
                self.run.save_state(state)

    def save_weights(self, name: str, model: nn.Module, facts: dict[str, Any]) -> None:
        """Write ``NAME.safetensors``."""
        if self.writes:
            with self._one_sentence():
                self.run.save_weights(name, model, facts)

    def load_weights(self, name: str, model: nn.Module) -> None:
        """Read ``NAME.safetensors`` in the first process, and send the weights to the others."""
        if self.writes:
            self.run.load_weights(name, model)
        distributed.broadcast_module(model)

    def drop_after(self, epoch: int) -> None:
        """Drop the lines of epochs that were logged but never saved."""
        if self.writes:
            with self._one_sentence():
                self.run.drop_after(epoch)

    def save_result(self, result: dict[str, Any]) -> None:
        """Write ``result.json``."""
        if self.writes:
            with self._one_sentence():
                self.run.save_result(result)

    @contextmanager
    def _one_sentence(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrainingFailed(f"{self.run.path} cannot be written: {error.strerror}") from None
