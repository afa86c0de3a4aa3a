"""How one step changes the weights: schedule, loss scale, guard, clipping, optimiser."""

from typing import Any

import torch
from torch import Tensor, nn

from sib import distributed
from sib.config.options import OptimizerConfig
from sib.config.train import TrainConfig
from sib.training.groups import parameter_groups
from sib.training.guard import StepGuard
from sib.training.schedule import lr_factor

FIRST_SCALE = 2.0**12
"""Of the loss in float16; it doubles after 2000 good steps and halves after each overflow."""


def make_optimizer(options: OptimizerConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum.

    Args:
        options: of the run.
        groups: of parameters.
    """
    rate, decay = options.learning_rate, options.weight_decay
    if options.kind == "sgd":
        return torch.optim.SGD(groups, rate, momentum=options.momentum, weight_decay=decay)
    return torch.optim.AdamW(groups, rate, weight_decay=decay)


class Update:
    """The optimiser of a run with all that stands between a gradient and the weights.

    Args:
        model: whose weights they are.
        config: of the run.
        device: where the model is.
        steps: in an epoch.
    """

    def __init__(
        self, model: nn.Module, config: TrainConfig, device: torch.device, steps: int
    ) -> None:
        self.model, self.config, self.steps = model, config, steps
        groups, self.scales = parameter_groups(model, config)
        self.optimizer = make_optimizer(config.optimizer, groups)
        self.guard = StepGuard(model, config.bad_steps)
        scaled = config.precision == "float16"
        self.scaler = torch.amp.GradScaler(device.type, FIRST_SCALE, enabled=scaled)
        self.scaler.scale(torch.zeros((), device=device))  # it starts with its first use

    @property
    def learning_rate(self) -> float:
        """Of the step that was begun last, where no layer decay acts."""
        return self.optimizer.param_groups[0]["lr"] / self.scales[0]

    @property
    def loss_scale(self) -> float:
        """What the gradients of the coming step must be multiplied by."""
        return self.scaler.get_scale()

    def set_learning_rate(self, step: int) -> None:
        """That of a step, counted from the run's first."""
        rate = lr_factor(self.config.schedule, step, self.steps, self.config.epochs)
        rate *= self.config.optimizer.learning_rate
        for group, scale in zip(self.optimizer.param_groups, self.scales, strict=True):
            group["lr"] = rate * scale

    def begin(self) -> None:
        """Before the forward pass: remember the buffers, forget the gradients."""
        self.guard.begin()
        self.optimizer.zero_grad(set_to_none=True)

    def finish(self, loss: Tensor) -> bool:
        """Take the step; False where its loss or gradient was not finite, and it was taken back."""
        self.scaler.unscale_(self.optimizer)
        if not self.guard.accepts(loss):
            self._after_bad_step(loss)
            return False
        largest = self.config.optimizer.clip_norm
        if largest is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), largest)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return True

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])

    def _after_bad_step(self, loss: Tensor) -> None:
        if not self.scaler.is_enabled():
            return
        (bad_loss,) = distributed.all_reduce_max(not bool(loss.isfinite()))
        if self.loss_scale > 1 and not bad_loss:
            self.guard.forgive()  # an overflow of scaled gradients is how the scale is found
        self.scaler.update(self.loss_scale / 2)
