"""Which gradients the backward pass that is running will use."""

from typing import Any

import torch


def grad_is_needed(ctx: Any, index: int) -> bool:
    """Whether the gradient of a function's input is used by the current backward pass.

    ``ctx.needs_input_grad`` only says what required a gradient in the forward pass. Of a
    convolution inside the VJP of the images nobody wants the weight's gradient, and vice versa in
    a backward pass for the parameters.

    Args:
        ctx: context of a ``torch.autograd.Function`` during its backward.
        index: of the input.

    Returns:
        False where the gradient would be thrown away; True in doubt.
    """
    if not ctx.needs_input_grad[index]:
        return False
    node = ctx.next_functions[index][0]
    try:
        return node is not None and torch._C._will_engine_execute_node(node)
    except (RuntimeError, AttributeError):  # a leaf that is asked for, or a torch without it
        return True
