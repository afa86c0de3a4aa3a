"""An exponential moving average of a model's weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

WARM_UP = 10
"""Steps by which the decay of a young average lags, so that the start weights fade quickly."""


class WeightAverage:
    """Keeps the average w̄ ← d w̄ + (1 − d) w with d = min(decay, (1 + n) / (10 + n)) at step n.

    Floating-point buffers, such as batch norm's statistics, are averaged too; counters are copied.

    Args:
        model: the model whose weights w are averaged.
        decay: d's upper bound, between 0 and 1.

    Source: the exponential moving average of TensorFlow, with its ``num_updates``.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay, self.steps = model, decay, 0
        self.values = {name: value.clone() for name, value in model.state_dict().items()}
        self._own: dict[str, Tensor] | None = None

    @property
    def own(self) -> dict[str, Tensor]:
        """The model's own weights, also while the average is swapped in."""
        return self.model.state_dict() if self._own is None else self._own

    @torch.no_grad()
    def update(self) -> None:
        """Update the average after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (WARM_UP + self.steps))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - decay)
            else:
                self.values[name].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Swap the average into the model, and its own weights back on leaving."""
        self._own = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.values)
        try:
            yield
        finally:
            self.model.load_state_dict(self._own)
            self._own = None

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"steps": self.steps, "values": self.values}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the average from a checkpoint."""
        self.steps = state["steps"]
        for name, value in state["values"].items():
            self.values[name].copy_(value)
