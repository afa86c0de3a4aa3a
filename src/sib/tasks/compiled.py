"""The S-IB step as one compiled graph, including its inner gradient.

A model compiled by `torch.compile` cannot be differentiated twice (pytorch#91469). Here
`torch.func.grad` computes the gradient at the images inside the compiled function. The compiler
sees one graph from images to loss, and differentiates it once.
"""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from sib.double_backward import attention_with_second_order
from sib.functional.precision import at_least_float32
from sib.functional.reconstruction import scaled_output
from sib.objectives.base import Objective, Parts, Terms
from sib.objectives.compilable import CompilableObjective
from sib.tasks.checks import check_logits
from sib.tasks.criterion import Criterion, criterion_loss

Weights = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Parameters and buffers, by name."""


class CompiledStep:
    """The compiled computation of a `Task`; made by `Task.compile`.

    The parameters and buffers are inputs of the graph. Batch norm's buffers are written in place,
    once per step. One graph is compiled for each batch shape and each mode of the model. Once
    something could not be compiled, nothing else is tried.

    Args:
        model: classifier, (B, C, H, W) → (B, K).
        objective: what the graph computes beside the classification loss.
        criterion: the classification loss.
        options: options of `torch.compile`.
        validate: whether labels must be in range.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: CompilableObjective,
        criterion: Criterion,
        options: dict[str, Any],
        *,
        validate: bool = True,
    ) -> None:
        self.model, self.objective, self.criterion = model, objective, criterion
        self.validate, self.works = validate, True
        self._options = {"fullgraph": True, "dynamic": False} | options
        self._parts = self._compile(self._parts_from_weights)
        self._whole = self._compile(self._whole_from_weights)

    def parts(
        self, images: Tensor, labels: Tensor, create_graph: bool = True
    ) -> tuple[Tensor, Parts] | None:
        """Logits and what the terms need from each image; None if it cannot be compiled.

        Raises:
            ValueError: the labels do not fit the logits.
        """
        with torch.set_grad_enabled(create_graph):
            found: tuple[Tensor, Parts] | None = self._run(self._parts, images.detach())
        if found is not None:
            check_logits(found[0], labels, self.validate)
        return found

    def whole(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Terms] | None:
        """Logits, classification loss and terms; None if it cannot be compiled.

        Raises:
            ValueError: the labels do not fit the logits.
        """
        if not self.objective.terms_are_compilable:
            return self._terms_outside(images, labels)
        found = self._run(self._whole, images.detach(), labels)
        if found is None:
            return None
        logits, cross_entropy, values, parts = found
        check_logits(logits, labels, self.validate)
        return logits, cross_entropy, self.objective.weigh(values, parts)

    def _terms_outside(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Terms] | None:
        """What `whole` returns, with the terms computed outside the graph."""
        found = self.parts(images, labels)
        if found is None:
            return None
        logits, parts = found
        return logits, self._loss(logits, labels), self.objective.weighted_terms(parts)

    def _compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.compile(function, **self._options)

    def _run(self, function: Callable[..., Any], *inputs: Tensor) -> Any:
        if not self.works:
            return None
        weights = dict(self.model.named_parameters()), dict(self.model.named_buffers())
        try:
            with attention_with_second_order(), _buffers_kept():
                return function(weights, *inputs)
        except torch._dynamo.exc.TorchDynamoException as error:
            self.works = False
            reason = str(error).strip().splitlines()[0]
            warnings.warn(
                f"the S-IB step cannot be compiled here and runs uncompiled: {reason}",
                stacklevel=4,
            )
            return None

    def _parts_from_weights(self, weights: Weights, images: Tensor) -> tuple[Tensor, Parts]:
        def output(images: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
            logits = functional_call(self.model, weights, (images,))
            with torch.autocast(images.device.type, enabled=False):
                return self._scaled(logits)[0], logits

        gradient, logits = grad(output, has_aux=True)(images, weights)
        scale = self._scaled(logits.detach())[1]
        with torch.autocast(images.device.type, enabled=False):
            return logits, self.objective.parts_of(at_least_float32(gradient) / scale, images)

    def _whole_from_weights(
        self, weights: Weights, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor], Parts]:
        logits, parts = self._parts_from_weights(weights, images)
        return logits, self._loss(logits, labels), self.objective.terms(parts), parts

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if not labels.is_floating_point():
            # labels out of range are refused outside the graph, which must not index out of bounds
            labels = labels.clamp(0, max(logits.shape[1], 2) - 1)
        with torch.autocast(logits.device.type, enabled=False):
            return criterion_loss(self.criterion, at_least_float32(logits), labels)

    def _scaled(self, logits: Tensor) -> tuple[Tensor, float]:
        return scaled_output(logits, self.objective.cotangent, self.objective.label_kind)


def check_compilable(objective: Objective | None) -> CompilableObjective:
    """The objective; ValueError if `CompiledStep` does not support it."""
    if isinstance(objective, CompilableObjective):
        return objective
    name = "no objective" if objective is None else type(objective).__name__
    raise ValueError(f"a step with {name} cannot be compiled")


def _buffers_kept() -> AbstractContextManager[Any]:
    """Keep the graph's buffers, since a loop may compute two gradients of one step."""
    config = torch._functorch.config
    return (
        config.patch(donated_buffer=False) if hasattr(config, "donated_buffer") else nullcontext()
    )
