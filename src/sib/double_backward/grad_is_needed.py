"""Which gradients the running backward pass will use."""

from typing import Any

import torch


def grad_is_needed(ctx: Any, index: int) -> bool:
    """Whether the current backward pass uses the gradient of a function's input.

    ``ctx.needs_input_grad`` only says what required a gradient in the forward pass. The VJP of the
    images does not use the gradient of a convolution's weight, and a backward pass for the
    parameters does not use that of the images.

    Args:
        ctx: context of a ``torch.autograd.Function`` during its backward.
        index: position of the input.

    Returns:
        False if the gradient would be discarded; True in doubt.
    """
    if not ctx.needs_input_grad[index]:
        return False
    node = ctx.next_functions[index][0]
    try:
        return node is not None and torch._C._will_engine_execute_node(node)
    except (RuntimeError, AttributeError):  # a requested leaf, or a torch without this function
        return True
