"""Steps that must not change the model: those whose loss or gradient is not finite."""

import torch
from torch import Tensor, nn

from sib import distributed


class StepGuard:
    """Undoes steps whose loss or gradient is not finite, and counts them.

    Args:
        model: its gradients and buffers (batch norm's statistics) are guarded.
        most: number of such steps in a row after which the run must end, at least 1.
    """

    def __init__(self, model: nn.Module, most: int) -> None:
        self.model, self.most = model, most
        self.in_a_row = 0
        self._buffers: list[Tensor] = []

    def begin(self) -> None:
        """Remember the buffers before a step."""
        self._buffers = [buffer.clone() for buffer in self.model.buffers()]

    def accepts(self, loss: Tensor) -> bool:
        """Whether loss and gradients are finite in all processes; if not, buffers are restored."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        (bad,) = distributed.all_reduce_max(not bool(loss.isfinite() & norm.isfinite()))
        if not bad:
            self.in_a_row = 0
            return True
        self.in_a_row += 1
        self.model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, before in zip(self.model.buffers(), self._buffers, strict=True):
                buffer.copy_(before)
        return False

    def forgive(self) -> None:
        """Do not count the last undone step: it overflowed because of the loss scale."""
        self.in_a_row -= 1

    def exhausted(self) -> bool:
        """Whether too many steps in a row were undone."""
        return self.in_a_row >= self.most
