"""The S-IB step as one compiled graph, its inner gradient included.

`torch.compile` of the model alone cannot be differentiated twice (pytorch#91469). Here the gradient
at the images is taken by `torch.func.grad` inside the compiled function, so that the compiler sees
one graph from images to loss, and differentiates that once.
"""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad

from sib.double_backward import attention_with_second_order
from sib.functional.parts import ImageParts
from sib.functional.precision import at_least_float32
from sib.functional.reconstruction import scaled_output
from sib.objectives.published import SpatialIB, SpatialIBTerms

Weights = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Parameters and buffers, by name."""


class CompiledStep:
    """What `SpatialIBTask` computes, compiled; made by `SpatialIBTask.compile`.

    The parameters and buffers are inputs of the graph. Batch norm's buffers are written in place,
    once a step. One graph is made for each shape of a batch and each mode of the model.

    Args:
        model: classifier, (B, C, H, W) → (B, K).
        objective: S-IB's.
        options: of `torch.compile`.
    """

    def __init__(self, model: nn.Module, objective: SpatialIB, options: dict[str, Any]) -> None:
        self.model, self.objective = model, objective
        self._options = {"fullgraph": True, "dynamic": False} | options
        self._parts = self._compile(self._parts_from_weights)
        self._whole = self._compile(self._whole_from_weights)

    def parts(self, images: Tensor, create_graph: bool = True) -> tuple[Tensor, ImageParts] | None:
        """Logits and what the terms need of each image; None where it cannot be compiled."""
        with torch.set_grad_enabled(create_graph):
            return self._run(self._parts, images)

    def whole(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, SpatialIBTerms] | None:
        """Logits, cross-entropy and terms in one graph; None where it cannot be compiled.

        Terms that draw random numbers or ask other processes are taken outside of the graph.
        """
        if self.objective.projection_dim is None and self.objective.hsic_scope == "local":
            return self._run(self._whole, images, labels)
        found = self.parts(images)
        if found is None:
            return None
        logits, parts = found
        return logits, _cross_entropy(logits, labels), self.objective.terms(parts)

    def _compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.compile(function, **self._options)

    def _run(self, function: Callable[..., Any], *inputs: Tensor) -> Any:
        weights = dict(self.model.named_parameters()), dict(self.model.named_buffers())
        try:
            with attention_with_second_order(), _buffers_kept():
                return function(weights, *inputs)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            warnings.warn(
                f"the S-IB step cannot be compiled here and runs uncompiled: {reason}",
                stacklevel=4,
            )
            return None

    def _parts_from_weights(self, weights: Weights, images: Tensor) -> tuple[Tensor, ImageParts]:
        def output(images: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
            logits = functional_call(self.model, weights, (images,))
            with torch.autocast(images.device.type, enabled=False):
                return scaled_output(logits, self.objective.cotangent)[0], logits

        gradient, logits = grad(output, has_aux=True)(images, weights)
        scale = scaled_output(logits.detach(), self.objective.cotangent)[1]
        with torch.autocast(images.device.type, enabled=False):
            return logits, self.objective.parts_of(at_least_float32(gradient) / scale, images)

    def _whole_from_weights(
        self, weights: Weights, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, SpatialIBTerms]:
        logits, parts = self._parts_from_weights(weights, images)
        return logits, _cross_entropy(logits, labels), self.objective.terms(parts)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    with torch.autocast(logits.device.type, enabled=False):
        # labels out of range are refused outside of the graph, which must not read past its end
        return F.cross_entropy(at_least_float32(logits), labels.clamp(0, logits.shape[1] - 1))


def _buffers_kept() -> AbstractContextManager[Any]:
    """A loop may ask for two gradients of one step, so the graph may not eat its own tensors."""
    config = torch._functorch.config
    return (
        config.patch(donated_buffer=False) if hasattr(config, "donated_buffer") else nullcontext()
    )
