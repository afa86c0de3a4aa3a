"""Model, objective and classification loss as one module: what a loop or DDP wraps."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError

from sib.double_backward import check_model, repeated_blocks
from sib.double_backward.checks import SELF_CHECKPOINTED
from sib.functional import checks
from sib.functional.precision import at_least_float32
from sib.models.mode import freeze_batch_norm
from sib.objectives.base import Objective
from sib.objectives.parts import Parts
from sib.tasks.checks import check_batch, checked_calls
from sib.tasks.criterion import (
    Criterion,
    criterion_loss,
    is_binary_cross_entropy,
    is_cross_entropy,
    set_label_kind_of,
)
from sib.tasks.known_gradient import depends_on_model_alone, with_known_gradient
from sib.tasks.output import StepOutput
from sib.tasks.part import PartGradients
from sib.tasks.subset import RegularizedSubset

BATCH_NORM_MODES = ("train", "frozen")


class Task(nn.Module):
    """A classifier, an objective and a classification loss as one module.

    loss = criterion(logits, labels) + Σ_k w_k P_k, with the terms of `Objective`. The task sets
    ``requires_grad`` on the images, uses attention that can be differentiated twice, and computes
    everything after the logits in float32.

    >>> import sib, torch
    >>> task = sib.Task(sib.models.SmallResNet(3), sib.SpatialIB())
    >>> out = task(torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 1]))
    >>> task.backward(out.loss)  # or out.loss.backward(), slower

    Args:
        model: classifier (B, C, H, W) → (B, K). If the objective differentiates its gradient, it
            must be differentiable twice and not compiled.
        objective: the terms; None for the classification loss alone, the baseline.
        criterion: any callable (logits (B, K), labels) → scalar; None for cross-entropy. Labels are
            int64 (B,), or floating point (B, K): soft labels. With
            ``torch.nn.BCEWithLogitsLoss()`` they are several labels an image, in [0, 1], and R is
            that of K labels. A model with a single logit is a binary classifier: cross-entropy
            takes its labels as the classes 0 and 1, and both criteria give the same loss and R.
        validate: check the values of each batch (finite images, labels in range). On a GPU the
            check waits for the device once per step.
        every_n_steps: k, at least 1. The terms are computed only on every k-th step, and their loss
            is multiplied by k, as in StyleGAN2's gradient penalty (Karras et al. 2020, section
            3.3). A step costs as much as 1 + 1/k plain steps on average. k > 1 deviates from the
            method.
        fraction: in (0, 1]. The terms are computed on this first part of each batch, with at least
            as many images as the objective needs. Both parts of the batch pass through the model
            separately, and batch norm takes statistics from each. A step costs as much as
            1 + fraction plain steps. A fraction below 1 deviates from the method.
        checkpoint: keep only the inputs of the model's repeated blocks and recompute the rest when
            it is needed; see `sib.double_backward.checkpointing`. It gives the same gradients with
            less memory and nearly twice the operations. Unlike in micro-batches, batch norm sees
            the whole batch.
        batch_norm: ``"train"``: batch norm follows the mode of the task. ``"frozen"``: it uses its
            running statistics and does not change them, even in train mode; its weight and bias
            are trained.

    Raises:
        ValueError: the model contains SyncBatchNorm or was compiled, a number is out of its range,
            or there is no block to checkpoint.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective | None = None,
        criterion: Criterion | None = None,
        *,
        validate: bool = True,
        every_n_steps: int = 1,
        fraction: float = 1.0,
        checkpoint: bool = False,
        batch_norm: str = "train",
    ) -> None:
        super().__init__()
        if objective is not None:
            check_model(model)
        if checkpoint:
            repeated_blocks(model)  # raises if there are none
        checks.choice("batch_norm", batch_norm, BATCH_NORM_MODES)
        self._subset = RegularizedSubset.checked(every_n_steps, fraction)
        self.model, self.objective = model, objective
        self.criterion: Criterion = F.cross_entropy if criterion is None else criterion
        set_label_kind_of(self.criterion, model, objective)
        self.validate, self.checkpoint, self.batch_norm = validate, checkpoint, batch_norm
        self.step = 0
        """Number of the next step, used if `forward` is not given one."""
        self._part: PartGradients | None = None
        if batch_norm == "frozen":
            freeze_batch_norm(model)

    def forward(
        self,
        images: Tensor,
        labels: Tensor,
        foreground: Tensor | None = None,
        *,
        step: int | None = None,
    ) -> StepOutput:
        """Loss of one batch.

        Args:
            images: (B, C, H, W), finite, floating point. The tensor itself is not changed.
            labels: (B,), int64 in [0, K); or (B, K), soft labels or several labels an image.
            foreground: (B, 1, H, W), bool or in [0, 1], if it is known; it replaces the foreground
                that is found. An image whose foreground is zero everywhere is not annotated. With
                several labels an image, the calibrated objective also takes (B, K, H, W), one
                foreground for each label.
            step: number of the step, from 0. It decides which steps have terms and when weights are
                measured; a loop that resumes passes it. None: the task counts its calls in train
                mode.

        Returns:
            `StepOutput`.

        Raises:
            ValueError: shapes or dtypes do not match, an image is not finite, a label is out of
                range, the batch is too small for the objective, gradients are switched off, or a
                required foreground is missing.
        """
        self.check(images, labels, foreground)
        step = self.step if step is None else step
        part = self._part
        regularized = self.is_regularized_step(step) if part is None else part.regularized
        with self._counted(step):
            if self.objective is None or not regularized:
                with self.checked_calls(labels):
                    logits = self.model(images)
                loss = (part or self).classification_loss(logits, labels)
                return StepOutput(loss, logits, loss)
            self._check_terms(foreground)
            count = self.num_regularized(len(images)) if part is None else len(images)
            first, known = images[:count], None if foreground is None else foreground[:count]
            with self.checked_calls(labels[:count]):
                logits, parts = self.objective.forward_parts(
                    self.model, first, labels[:count], known
                )
            if part is not None:
                return part.output(self.objective, logits, labels, parts, self.every_n_steps)
            if count < len(images):
                with self.checked_calls(labels[count:]):
                    logits = torch.cat([logits, self.model(images[count:])])
            return self._output(logits, parts, labels, step)

    @contextmanager
    def _counted(self, step: int) -> Iterator[None]:
        """Count a step whose computation inside succeeds; a part of a batch is not a step."""
        yield
        if self._part is None:
            self.take_step(step)

    if TYPE_CHECKING:  # what a call takes and returns, which nn.Module does not tell
        __call__ = forward

    def train(self, mode: bool = True) -> "Task":
        """Put the task in train mode; frozen batch norm stays in evaluation mode."""
        super().train(mode)
        if self.batch_norm == "frozen":
            freeze_batch_norm(self.model)
        return self

    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of the parameters, and of nothing else.

        ``loss.backward()`` also computes the images' gradient: a second derivative of the first
        layer that is not used.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        if not parameters:
            raise ValueError("model must have a parameter that requires a gradient; all are frozen")
        torch.autograd.backward(loss, inputs=parameters)

    def compile(self, *args: Any, **options: Any) -> None:
        """Refused: a compiled model has no second derivative, and a CUDA graph gains more.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "a task is not compiled: torch.compile has no second derivative of a model "
            "(pytorch#91469); on a CUDA GPU, replay its steps with sib.GraphedStep(task)"
        )

    def take_step(self, step: int) -> None:
        """Count a step that was taken, in train mode; the next one has the number after it."""
        self.step = step + self.training

    @property
    def every_n_steps(self) -> int:
        """The terms are computed on every n-th step."""
        return self._subset.every_n_steps

    @property
    def fraction(self) -> float:
        """Share of each batch that the terms are computed on."""
        return self._subset.fraction

    def is_regularized_step(self, step: int) -> bool:
        """Whether a step has terms."""
        return self.objective is not None and self._subset.has_step(step)

    def weights_are_due(self, step: int) -> bool:
        """Whether the weights of the terms are measured in a step."""
        if self.objective is None or not self.is_regularized_step(step):
            return False
        return self.objective.weights_are_due(step // self.every_n_steps)

    def num_regularized(self, batch: int) -> int:
        """The number of a batch's images that the terms are computed for."""
        assert self.objective is not None
        return self._subset.num_images(batch, self.objective.min_batch)

    def classification_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The criterion, in float32 or better."""
        return criterion_loss(self.criterion, at_least_float32(logits), labels)

    def parts(
        self,
        images: Tensor,
        labels: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> tuple[Tensor, Parts]:
        """Logits and what the terms need from each image; arguments and errors as in `forward`."""
        if self.objective is None:
            raise ValueError("a task without an objective has no parts")
        self.check(images, labels, foreground)
        self._check_terms(foreground)
        try:
            with self.checked_calls(labels):
                return self.objective.forward_parts(
                    self.model, images, labels, foreground, create_graph=create_graph
                )
        except CheckpointError:
            raise ValueError(f"model must be differentiable twice: {SELF_CHECKPOINTED}") from None

    def checked_calls(self, labels: Tensor) -> Any:
        """Check each forward pass of the model inside against the labels."""
        blocks = repeated_blocks(self.model) if self.checkpoint else []
        return checked_calls(self.model, labels, self.validate, blocks)

    @contextmanager
    def as_part_of_batch(self, part: PartGradients) -> Iterator[None]:
        """Make `forward` compute what these images contribute to the loss of a larger batch.

        The gradient of this loss is their part of the batch's gradient. Used by `sib.accumulate`.
        """
        self._part = part
        try:
            yield
        finally:
            self._part = None

    def check(self, images: Tensor, labels: Tensor, foreground: Tensor | None = None) -> None:
        """Raise ValueError as `forward` does for these arguments."""
        soft, several = is_cross_entropy(self.criterion), is_binary_cross_entropy(self.criterion)
        check_batch(images, labels, self.validate, soft, several)
        if foreground is not None:
            own = self.objective
            by_label = own is None or (own.takes_label_foregrounds and own.label_kind == "multi")
            count = labels.shape[1] if by_label and labels.ndim == 2 else None
            checks.foreground(foreground, images, look=self.validate, labels=count)

    def _check_terms(self, foreground: Tensor | None) -> None:
        """Raise ValueError if the terms cannot be computed."""
        if not torch.is_grad_enabled():
            raise ValueError("the loss needs gradients: call the task outside torch.no_grad()")
        if foreground is None and self.objective and self.objective.needs_foreground:
            name = type(self.objective).__name__
            raise ValueError(f"foreground must be given: {name} needs annotation")

    def _output(self, logits: Tensor, parts: Parts, labels: Tensor, step: int) -> StepOutput:
        """The output of a step with terms."""
        assert self.objective is not None
        cross_entropy = self.classification_loss(logits, labels)
        measured = None
        if self.weights_are_due(step):
            losses = self.objective.losses(cross_entropy, parts)
            measured = self.objective.update_weights([losses], self.model.parameters())
        terms = self.objective.weighted_terms(parts)
        out = StepOutput.of(logits, cross_entropy, terms, self.every_n_steps)
        if measured is not None and depends_on_model_alone(self, self.model, self.criterion):
            return with_known_gradient(out, measured, self.every_n_steps)
        return out
