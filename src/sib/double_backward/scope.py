"""The context of a forward pass whose gradient will be differentiated."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils import checkpoint

from sib.double_backward import attention, channel_gate, pointwise, pooling
from sib.double_backward.batch_norm import batch_norm
from sib.double_backward.concatenation import cat
from sib.double_backward.convolution import conv2d
from sib.double_backward.layer_norm import layer_norm


@contextmanager
def second_order() -> Iterator["Scope"]:
    """Compute a forward pass whose gradient can be differentiated again, at low cost.

    Put it around the forward pass; the backward passes may be outside. The computed values are
    those of torch. `sib.SpatialIBTask` does this by itself. Inside,

    - attention is computed by its plain formula, since the flash and memory-efficient kernels have
      no second derivative (pytorch#116350, pytorch#117974);
    - ``normalize``, whose second derivative is NaN at zero, is computed as x / √max(Σ x², ε²);
    - ``hardsigmoid``, whose backward pass cannot be differentiated in torch, gets a second
      derivative;
    - 2-D convolution, batch norm, layer norm, softmax, concatenation and the usual activations
      (ReLU, ReLU6, hardtanh, hardsigmoid, hardswish, SiLU, GELU) get a second derivative that uses
      almost the same kernels as the first; torch composes it from slower operations. So do means
      and, on a CPU, the products of large maps with a factor per channel. Third derivatives of
      attention, batch norm, layer norm, softmax, hardswish, SiLU, GELU and such products are
      refused.

    Code under `torch.compile`, `torch.func` or saved-tensor hooks keeps torch's own derivatives.
    Activation checkpointing uses such hooks: it runs a part of the model again during the backward
    pass, outside this context, and must then find the same functions.

    Example:
        >>> import sib, torch
        >>> attention = torch.nn.MultiheadAttention(4, 2, batch_first=True)
        >>> x = torch.randn(1, 3, 4, requires_grad=True)
        >>> with sib.second_order():
        ...     out, _ = attention(x, x, x)
        >>> (gradient,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        >>> gradient.square().sum().backward()  # the gradient itself was differentiated
    """
    with attention_with_second_order(), Scope() as scope:
        yield scope


def attention_with_second_order() -> AbstractContextManager[None]:
    """Compute attention by its plain formula, which can be differentiated twice."""
    return sdpa_kernel(SDPBackend.MATH)


class Scope(TorchFunctionMode):
    """Replaces a few functions of torch by equivalent ones with a better second derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.images: Tensor | None = None
        """The images, if nothing else refers to this tensor."""
        self.images_done = False
        """Whether R has been computed. From then on nothing can ask for the images' gradient, so a
        convolution that is the first layer skips it."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called for every torch function inside the context."""
        replacement = _REPLACEMENTS.get(func)
        if replacement is None or _belongs_to_torch():
            return func(*args, **(kwargs or {}))
        return replacement(self, func, *args, **(kwargs or {}))


def _normalize(
    scope: Scope,
    func: Callable[..., Any],
    input: Tensor,
    p: float = 2.0,
    dim: int = 1,
    eps: float = 1e-12,
    out: Tensor | None = None,
) -> Tensor:
    exact = input.dtype in (torch.float32, torch.float64)
    # the square of a smaller eps would be 0
    if p != 2 or out is not None or not exact or eps**2 < torch.finfo(input.dtype).tiny:
        return func(input, p, dim, eps, out)
    squares = input.square().sum(dim, keepdim=True)
    return input / squares.clamp_min(eps**2).sqrt()


_REPLACEMENTS: dict[Any, Callable[..., Tensor]] = {
    torch.conv2d: conv2d,
    F.batch_norm: batch_norm,
    torch.cat: cat,
    F.layer_norm: layer_norm,
    F.normalize: _normalize,
    **attention.REPLACEMENTS,
    **channel_gate.REPLACEMENTS,
    **pointwise.REPLACEMENTS,
    **pooling.REPLACEMENTS,
}


def _belongs_to_torch() -> bool:
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or _saved_tensors_are_hooked()
    )


def _saved_tensors_are_hooked() -> bool:
    """Whether hooks pack what is saved for backward; in torch 2.6 only a checkpoint's are seen."""
    top = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    if top is not None:
        return top(False) is not None
    # that version has no way to ask; a checkpoint counts what is saved, so it must not change
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename != checkpoint.__file__:
        frame = frame.f_back
    return frame is not None
