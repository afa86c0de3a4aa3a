"""Checks of a batch and of a model's output."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sib.double_backward import checkpointed
from sib.functional import checks
from sib.models.outputs import in_words, logits_in, warn_if_probabilities


def check_batch(
    images: Tensor, labels: Tensor, values: bool = True, soft: bool = True, several: bool = False
) -> None:
    """Raise ValueError unless images and labels form a batch.

    Args:
        images: (B, C, H, W), floating point.
        labels: (B,), int64; or (B, K), floating point.
        values: check the values too: finite images, soft labels that sum to 1.
        soft: whether labels (B, K) are probabilities.
        several: whether they are several labels an image.
    """
    checks.image_batch("images", images)
    if labels.is_floating_point() and labels.ndim == 2 and len(labels) == len(images):
        if values and soft:
            _check_probabilities(labels)
        if values and several and not ((labels >= 0) & (labels <= 1)).all():
            raise ValueError(
                "several labels an image must lie in [0, 1], 1 for present; got "
                f"{labels.min().item():g} to {labels.max().item():g}"
            )
    elif labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(
            f"labels must be int64 of shape ({images.shape[0]},), one per image, or floating point "
            f"of shape ({images.shape[0]}, K); got {labels.dtype} of shape {checks.shape(labels)}"
        )
    if values and not images.isfinite().all():
        raise ValueError("images must be finite; got NaN or infinity")


def _check_probabilities(labels: Tensor) -> None:
    sums = labels.sum(dim=1)
    if not (labels >= 0).all():
        problem = f"the smallest is {labels.min().item():g}"
    elif not ((sums - 1).abs() < 1e-3).all():
        problem = f"those of one image sum to {sums[(sums - 1).abs().argmax()].item():g}"
    else:
        return
    raise ValueError(f"soft labels must be at least 0 and sum to 1 for each image; {problem}")


def check_logits(logits: Tensor, labels: Tensor, values: bool = True) -> None:
    """Raise unless the logits have a row per label; with ``values``, unless labels are in range."""
    if not isinstance(logits, Tensor):
        raise ValueError(f"model must give one tensor of logits; got {in_words(logits)}")
    if logits.ndim != 2 or logits.shape[0] != labels.shape[0]:
        raise ValueError(
            f"model must give logits of shape ({labels.shape[0]}, K), a row per image; "
            f"got {checks.shape(logits)}"
        )
    classes = max(logits.shape[1], 2)  # a single logit tells two classes apart
    if labels.ndim == 2:
        if labels.shape != logits.shape and labels.shape[1] != classes:
            raise ValueError(
                f"labels of shape {checks.shape(labels)} do not fit logits of shape "
                f"{checks.shape(logits)}"
            )
    elif values and not ((labels >= 0) & (labels < classes)).all():
        raise ValueError(
            f"labels must lie in [0, {classes}), the number of the model's classes; "
            f"got {int(labels.min())} to {int(labels.max())}"
        )


@contextmanager
def checked_calls(
    model: nn.Module, labels: Tensor, values: bool, blocks: list[nn.Module]
) -> Iterator[None]:
    """Check the output of each forward pass of the model inside this context.

    An output object that contains the logits, as Hugging Face models give, is replaced by them; see
    `logits_in`. A model that gives probabilities instead causes one warning. Passes of other
    images, such as the single one that finds the layers, are not checked.

    Args:
        model: classifier.
        labels: the labels of the batch.
        values: compare the labels with the number of classes.
        blocks: blocks of the model that are checkpointed in these passes.
    """
    running = ExitStack()

    def before(module: nn.Module, inputs: Any) -> None:
        running.enter_context(checkpointed(blocks))

    def after(module: nn.Module, inputs: Any, output: Any) -> Tensor:
        running.close()
        logits: Tensor = logits_in(output)
        if len(inputs[0]) == len(labels):
            check_logits(logits, labels, values)
            if values:
                warn_if_probabilities(module, logits)
        return logits

    with ExitStack() as stack:
        stack.callback(running.close)
        if blocks:
            stack.callback(model.register_forward_pre_hook(before).remove)
        stack.callback(model.register_forward_hook(after).remove)
        yield
