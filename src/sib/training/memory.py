"""What to do if a step does not fit into memory."""

import sys
import traceback
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sib.tasks.accumulate import accumulate

# torch and oneDNN report a lack of CPU memory with a plain RuntimeError
WORDS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "could not create a memory",
    "could not create a primitive",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception is about memory, of a GPU or of the machine."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in WORDS)


def fitting_micro_batch(
    task: nn.Module,
    images: Tensor,
    labels: Tensor,
    size: int,
    context: Callable[[], torch.autocast],
    foreground: Tensor | None = None,
) -> int | None:
    """The largest of size/2, size/4, … images at a time with which a step of this batch fits.

    Takes such steps to find out; gradients and buffers are changed. What the step that did not fit
    still holds is freed first: call this while its exception is handled.

    Args:
        task: the run's task.
        images: (B, 3, H, W), normalised.
        labels: (B,).
        size: number of images at a time that did not fit.
        context: makes the run's autocast context.
        foreground: (B, 1, H, W), for methods that use it.

    Returns:
        The micro-batch; None if not even one image fits.
    """
    error = sys.exception()
    if error is not None:  # its frames hold the graph of the step
        traceback.clear_frames(error.__traceback__)
    while size > 1:
        size //= 2
        task.zero_grad(set_to_none=True)
        if images.device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            with context():
                # step 0 has the terms and measures their weights
                accumulate(task, images, labels, size, foreground=foreground, step=0)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return size
    return None


def advice(images: int, fits: int | None) -> str:
    """Describe what would fit."""
    if fits is None:
        return f"{images} images at a time do not fit into memory, and neither does one"
    return f"{images} images at a time do not fit into memory; --micro-batch {fits} does"
