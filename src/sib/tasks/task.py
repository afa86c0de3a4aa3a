"""Model and objective as one module: the step that a loop, DDP or a compiler wraps."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sib.double_backward import check_model, checkpointed, repeated_blocks, second_order
from sib.functional import checks
from sib.functional.dependence import ESTIMATORS
from sib.functional.parts import ImageParts
from sib.functional.precision import at_least_float32
from sib.objectives.published import SpatialIB, SpatialIBTerms
from sib.tasks.compiled import CompiledStep
from sib.tasks.plain import (
    Directions,
    TaskOutput,
    check_batch,
    check_logits,
    plain_output,
)


class SpatialIBTask(nn.Module):
    """A classifier and the S-IB objective as one module.

    loss = cross-entropy + objective. The images' gradient, attention that can be differentiated
    twice and float32 for everything after the logits are seen to.

    >>> task = SpatialIBTask(model, SpatialIB())
    >>> out = task(images, labels)
    >>> task.backward(out.loss)          # or out.loss.backward(), slower

    Args:
        model: classifier (B, C, H, W) → (B, K), differentiable twice, not compiled.
        objective: None for the published defaults.
        validate: look at the values of each batch (finite images, labels in range). On a GPU the
            check waits for the device once a step.
        every_n_steps: k, at least 1: the terms on every k-th step only, their loss × k, as
            StyleGAN2 takes its gradient penalty (Karras et al. 2020, section 3.3). A step takes
            1 + 1/k plain ones in the mean. A deviation from the method where k > 1.
        fraction: in (0, 1]: the terms on the first part of each batch, of at least as many images
            as HSIC needs. The parts pass through the model one after another, so that batch norm
            takes statistics from each. A step takes 1 + fraction plain ones. A deviation where
            it is below 1.

        checkpoint: keep the inputs of the model's repeated blocks alone and compute the rest
            anew where it is needed; see `sib.double_backward.checkpointing`. The same gradients
            for less memory and nearly twice the operations; batch norm sees the whole batch, which
            micro-batches do not give.

    Raises:
        ValueError: the model holds SyncBatchNorm or was compiled; a number is out of its range;
            there is no block to be checkpointed.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: SpatialIB | None = None,
        *,
        validate: bool = True,
        every_n_steps: int = 1,
        fraction: float = 1.0,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        check_model(model)
        self.checkpoint = checkpoint
        if checkpoint:
            repeated_blocks(model)  # says where there are none
        checks.whole_number("every_n_steps", every_n_steps)
        if not isinstance(fraction, (int, float)) or not 0 < fraction <= 1:
            raise ValueError(f"fraction must lie above 0 and at most at 1; got {fraction!r}")
        self.model = model
        self.objective = SpatialIB() if objective is None else objective
        self.validate = validate
        self.every_n_steps, self.fraction = every_n_steps, fraction
        self.step = 0
        """Steps taken in train mode; set it where a loop goes on from a saved step."""
        self._compiled: CompiledStep | None = None

    def forward(
        self,
        images: Tensor,
        labels: Tensor,
        directions: Directions | None = None,
        foreground: Tensor | None = None,
    ) -> TaskOutput:
        """Loss of one batch.

        Args:
            images: (B, C, H, W), finite, floating point. The tensor itself is left as it is.
            labels: (B,), int64 in [0, K).
            directions: where the images are a part of a larger batch, how they enter its loss:
                loss = share · cross-entropy + Σ gradient · part, whose gradient is theirs in that
                of the batch. Only `sib.accumulate` has a use for it.
            foreground: (B, 1, H, W), bool or in [0, 1], where it is known: it leads the found one.
                An image whose foreground is zero everywhere is not annotated.

        Returns:
            `TaskOutput`; its terms are None on steps without them. With ``directions`` both losses
            are their shares and terms are None.

        Raises:
            ValueError: shapes or dtypes that do not fit, images that are not finite, labels out of
                range, a batch too small for HSIC, gradients switched off.
        """
        if directions is not None:
            return self._part_of_batch(images, labels, directions, foreground)
        due = self.terms_are_due()
        self.tell_step()
        self.step += self.training
        if not due:
            return plain_output(self, images, labels)
        count = self.images_with_terms(len(images))
        if count == len(images):
            logits, cross_entropy, terms = self._whole(images, labels, foreground)
        else:
            check_batch(images, labels, self.validate)
            known = None if foreground is None else foreground[:count]
            logits, parts = self.parts(images[:count], labels[:count], foreground=known)
            rest = self.model(images[count:])
            check_logits(rest, labels[count:], self.validate)
            logits = torch.cat([logits, rest])
            cross_entropy = F.cross_entropy(at_least_float32(logits), labels)
            terms = self.objective.weighed_terms(parts, cross_entropy)
        weight = self.every_n_steps
        loss = cross_entropy + weight * terms.loss
        pieces = (weight * terms.foreground_loss, weight * terms.background_loss)
        return TaskOutput(loss, logits, cross_entropy, terms, _named(*pieces))

    def compile(self, **options: Any) -> None:
        """Compile the step, its inner gradient included, as one graph by `torch.compile`.

        Gradients, buffers and results are those of the uncompiled step up to rounding. The first
        step, and the first with another batch size or another mode of the model, takes long. Where
        a model or a version of torch cannot be compiled, a warning says so and the step runs
        uncompiled. The model itself stays as it is, and so do the names of its weights.

        Args:
            options: of `torch.compile`, such as ``backend`` or ``mode``.

        Raises:
            ValueError: the task is checkpointed, or its objective looks inside the model.
        """
        if self.checkpoint:
            raise ValueError("a step is compiled or checkpointed, not both")
        if not self.objective.compilable:
            raise ValueError("a step with the calibrated objective cannot be compiled")
        self._compiled = CompiledStep(self.model, self.objective, options)

    def _whole(
        self, images: Tensor, labels: Tensor, foreground: Tensor | None
    ) -> tuple[Tensor, Tensor, SpatialIBTerms]:
        """Logits, cross-entropy and terms of a batch."""
        if self._compiled is not None:
            if foreground is not None:
                raise ValueError("a compiled step takes no foreground")
            self._check_before(images, labels)
            found = self._compiled.whole(images.detach(), labels)
            if found is not None:
                check_logits(found[0], labels, self.validate)
                self.objective.look_at_first(found[2].reconstruction)
                return found
            self._compiled = None
        logits, parts = self.parts(images, labels, foreground=foreground)
        cross_entropy = F.cross_entropy(at_least_float32(logits), labels)
        return logits, cross_entropy, self.objective.weighed_terms(parts, cross_entropy)

    def tell_step(self) -> None:
        """Tell the objective how many batches it has had."""
        self.objective.step = self.step // self.every_n_steps

    def terms_are_due(self) -> bool:
        """Whether the coming step takes the terms."""
        return self.step % self.every_n_steps == 0

    def images_with_terms(self, batch: int) -> int:
        """How many of a batch's images the terms are taken of."""
        count = max(round(self.fraction * batch), ESTIMATORS[self.objective.estimator])
        # batch norm in train mode needs two images at its smallest maps
        return count if batch - count >= 2 else batch

    def _part_of_batch(
        self, images: Tensor, labels: Tensor, directions: Directions, foreground: Tensor | None
    ) -> TaskOutput:
        if not directions.gradients:
            return plain_output(self, images, labels, directions.share)
        logits, parts = self.parts(images, labels, foreground=foreground)
        cross_entropy = directions.share * F.cross_entropy(at_least_float32(logits), labels)
        pairs = zip(directions.gradients, parts.differentiated(), strict=True)
        inner = [(gradient * part).sum() for gradient, part in pairs]
        count = len(parts.foreground)
        pieces = (torch.stack(inner[:count]).sum(), torch.stack(inner[count:]).sum())
        return TaskOutput(cross_entropy + sum(pieces), logits, cross_entropy, None, _named(*pieces))

    def parts(
        self,
        images: Tensor,
        labels: Tensor,
        create_graph: bool = True,
        foreground: Tensor | None = None,
    ) -> tuple[Tensor, ImageParts]:
        """Logits and what the terms need of each image; arguments and errors as of `forward`."""
        self._check_before(images, labels)
        if self._compiled is not None:
            if foreground is not None:
                raise ValueError("a compiled step takes no foreground")
            found = self._compiled.parts(images.detach(), create_graph)
            if found is not None:
                check_logits(found[0], labels, self.validate)
                return found
            self._compiled = None
        images = images.detach().requires_grad_()
        blocks = repeated_blocks(self.model) if self.checkpoint else []
        recording = self.objective.recording(self.model, images)
        with recording, second_order() as scope, checkpointed(blocks):
            scope.images = images
            logits = self.model(images)
        check_logits(logits, labels, self.validate)
        if foreground is not None and self.validate:
            checks.foreground(foreground, images, look=True)
        parts = self.objective.parts(logits, images, create_graph, foreground)
        scope.images_done = True
        return logits, parts

    def _check_before(self, images: Tensor, labels: Tensor) -> None:
        check_batch(images, labels, self.validate)
        if not torch.is_grad_enabled():
            raise ValueError("the S-IB loss needs gradients: call the task outside torch.no_grad()")

    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of the parameters, and of nothing else.

        ``loss.backward()`` also computes the images' gradient, a double backward of the first
        layer that nobody uses.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        if not parameters:
            raise ValueError("model must have a parameter that requires a gradient; all are frozen")
        torch.autograd.backward(loss, inputs=parameters)


def _named(foreground: Tensor, background: Tensor) -> dict[str, Tensor]:
    return {"foreground": foreground, "background": background}
