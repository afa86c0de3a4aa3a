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
"""Initial loss scale in float16. It doubles after 2000 good steps and halves at each overflow."""


def make_optimizer(options: OptimizerConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum.

    Args:
        options: of the run.
        groups: groups of parameters.
    """
    rate, decay = options.learning_rate, options.weight_decay
    if options.kind == "sgd":
        return torch.optim.SGD(groups, rate, momentum=options.momentum, weight_decay=decay)
    return torch.optim.AdamW(groups, rate, weight_decay=decay)


class Update:
    """A run's optimiser and everything between a gradient and the weights.

    Args:
        model: the model to train.
        config: the run's options.
        device: where the model is.
        steps: steps in an epoch.
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
        self.scaler.scale(torch.zeros((), device=device))  # it is initialized by its first use

    @property
    def learning_rate(self) -> float:
        """Learning rate of the latest step, without layer decay."""
        return self.optimizer.param_groups[0]["lr"] / self.scales[0]

    @property
    def loss_scale(self) -> float:
        """Factor for the gradients of the coming step."""
        return self.scaler.get_scale()

    def set_learning_rate(self, step: int) -> None:
        """Learning rate of a step, counted from the run's first."""
        rate = lr_factor(self.config.schedule, step, self.steps, self.config.epochs)
        rate *= self.config.optimizer.learning_rate
        for group, scale in zip(self.optimizer.param_groups, self.scales, strict=True):
            group["lr"] = rate * scale

    def begin(self) -> None:
        """Prepare the forward pass: remember the buffers, clear the gradients."""
        self.guard.begin()
        self.optimizer.zero_grad(set_to_none=True)

    def finish(self, loss: Tensor) -> bool:
        """Take the step; undo it and return False if its loss or gradient is not finite."""
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
        """Restore the optimiser from a checkpoint."""
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])

    def _after_bad_step(self, loss: Tensor) -> None:
        if not self.scaler.is_enabled():
            return
        (bad_loss,) = distributed.all_reduce_max(not bool(loss.isfinite()))
        if self.loss_scale > 1 and not bad_loss:
            self.guard.forgive()  # the scale is found by overflows
        self.scaler.update(self.loss_scale / 2)
