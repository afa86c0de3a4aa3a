"""Guided backpropagation, computed by captum."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sib.explain.call import Call
from sib.explain.state import LogitsModule
from sib.utils.optional import import_optional

RELUS: tuple[Callable[..., Any], ...] = (
    F.relu,
    F.relu_,
    torch.relu,
    torch.relu_,
    Tensor.relu,
    Tensor.relu_,
)


def check_has_relu(model: nn.Module) -> None:
    """Raise unless the model has a ReLU module that captum can modify."""
    if not any(isinstance(module, nn.ReLU) for module in model.modules()):
        raise ValueError(
            "method guided_backprop changes the backward pass of nn.ReLU modules, and this "
            f"{type(model).__name__} has none: GELU, SiLU and ReLU6 have no guided rule, and a "
            "ReLU that is called as a function (F.relu) must be made an nn.ReLU module"
        )


def guided_backprop(call: Call) -> Tensor:
    """Σ_c |∂z_t/∂x| (B, H, W), ≥ 0, with negative gradients stopped at every nn.ReLU.

    A ReLU called as a function keeps its plain gradient; a warning says how many did.

    Source: Springenberg et al. 2015.
    """
    check_has_relu(call.model)
    method = import_optional("captum.attr", "explain").GuidedBackprop(LogitsModule(call.model))
    with warnings.catch_warnings(), _ReluCount() as calls, _ModuleCount(call.model) as modules:
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        gradient = method.attribute(call.images, target=call.targets)
    if calls.count > modules.count:
        warnings.warn(
            f"guided_backprop: {calls.count - modules.count} of {calls.count} ReLUs are called as "
            "functions (F.relu) and keep their plain gradient; as nn.ReLU modules they would be "
            "guided",
            stacklevel=2,
        )
    maps: Tensor = gradient.abs().sum(dim=1)
    return maps


class _ReluCount(TorchFunctionMode):
    """Counts the calls of ReLU, including those inside nn.ReLU."""

    count = 0

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.count += func in RELUS
        return func(*args, **(kwargs or {}))


class _ModuleCount:
    """Counts the calls of nn.ReLU modules."""

    def __init__(self, model: nn.Module) -> None:
        self.count, self._model = 0, model

    def __enter__(self) -> "_ModuleCount":
        relus = [module for module in self._model.modules() if isinstance(module, nn.ReLU)]
        self._handles = [module.register_forward_pre_hook(self._called) for module in relus]
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _called(self, module: nn.Module, inputs: object) -> None:
        self.count += 1
