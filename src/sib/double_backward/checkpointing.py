"""Activation checkpointing that reaches through the second derivative.

For a block y = f(x, θ), torch's own checkpointing discards what f keeps for its gradient gx = Jᵀgy.
It does not discard what gx keeps for its own gradient, which is more. Here a block keeps only x and
gy; its output, its VJP and the gradient of its VJP are each recomputed from them. The step's 6
units become 1 (f) + 2 (f, gx) + 4 (f, gx, its gradient) + 3 (f, its gradient) = 10.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sib.double_backward.grad_is_needed import grad_is_needed
from sib.double_backward.scope import second_order
from sib.utils.random_state import random_state, rng_state


def repeated_blocks(model: nn.Module) -> list[nn.Module]:
    """The outermost modules whose class occurs more than once in a model.

    Classes of `torch.nn` do not count. What remains are the blocks of a ResNet or a transformer.

    Raises:
        ValueError: the model has none.
    """
    kinds = [type(module) for module in model.modules()]
    own = {kind for kind in kinds if not kind.__module__.startswith("torch.nn.modules")}
    repeated = tuple(kind for kind in own if kinds.count(kind) > 1)
    found: list[nn.Module] = []
    waiting = list(model.children())
    while waiting:
        module = waiting.pop()
        if isinstance(module, repeated) and any(True for _ in module.parameters()):
            found.append(module)
        else:
            waiting.extend(module.children())
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no repeated blocks to be checkpointed: their class must "
            "not be one of torch.nn's own"
        )
    return found


@contextmanager
def checkpointed(blocks: list[nn.Module]) -> Iterator[None]:
    """Checkpoint the blocks in forward passes inside; the blocks are the same afterwards.

    Buffers such as batch norm's statistics change only in the first pass of a block, and random
    numbers are drawn once. A block that takes anything but one tensor is left alone. So is a block
    with a forward hook inside, since the hook would receive tensors without a graph.

    Raises:
        ValueError: in the forward pass, a block gives anything but one tensor.
    """
    blocks = [block for block in blocks if not _is_listened_to(block)]
    try:
        for block in blocks:
            block.forward = _Checkpointed(block)
        yield
    finally:
        for block in blocks:
            vars(block).pop("forward", None)


def _is_listened_to(block: nn.Module) -> bool:
    return any(module._forward_hooks for module in block.modules() if module is not block)


class _Checkpointed:
    """Replaces a block's forward."""

    def __init__(self, block: nn.Module) -> None:
        self.block, self.original = block, block.forward

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        plain = options or len(inputs) != 1 or not isinstance(inputs[0], Tensor)
        if plain or not torch.is_grad_enabled():
            return self.original(*inputs, **options)
        names, weights = zip(*self.block.named_parameters(), strict=True)
        kind = inputs[0].device.type
        autocast = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        again = _Again(self.block, names, random_state(inputs[0].device), *autocast)
        return _Block.apply(inputs[0], *weights, self.original, again)


class _Again(NamedTuple):
    """Recomputes a block as it was computed the first time, without side effects."""

    block: nn.Module
    names: tuple[str, ...]
    randomness: list[Tensor]
    autocast: bool
    dtype: torch.dtype

    def __call__(self, x: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
        """f(x, θ)."""
        buffers = {name: buffer.clone() for name, buffer in self.block.named_buffers()}
        values = dict(zip(self.names, weights, strict=True)) | buffers
        with ExitStack() as stack:
            stack.enter_context(rng_state(self.randomness, x.device))
            stack.enter_context(
                torch.autocast(x.device.type, dtype=self.dtype, enabled=self.autocast)
            )
            stack.enter_context(second_order())
            return functional_call(self.block, values, (x,))


class _Block(torch.autograd.Function):
    """y, for whose backward pass only x is kept."""

    @staticmethod
    def forward(ctx, x, *rest):  # the weights, the block's own forward, and how to repeat it
        *weights, original, ctx.again = rest
        ctx.save_for_backward(x, *weights)
        y = original(x)
        only = y[0] if isinstance(y, tuple) and len(y) == 1 else y
        if not isinstance(only, Tensor):
            raise ValueError(
                f"checkpoint needs blocks that give one tensor; {type(ctx.again.block).__name__} "
                f"gives a {type(y).__name__}: leave checkpoint out (sib train --checkpoint)"
            )
        return y

    @staticmethod
    def backward(ctx, gy):
        x, *weights = ctx.saved_tensors
        asked = [grad_is_needed(ctx, index) for index in range(1 + len(weights))]
        if torch.is_grad_enabled():
            if any(asked[1:]):
                raise RuntimeError(
                    "a checkpointed block has a differentiable gradient with respect to its input "
                    "alone"
                )
            return _BlockVJP.apply(gy, x, *weights, ctx.again), *[None] * (len(weights) + 2)
        leaves = [_leaf(value, needed) for value, needed in zip((x, *weights), asked, strict=True)]
        with torch.enable_grad():
            y = ctx.again(leaves[0], tuple(leaves[1:]))
        return *_gradients(y, leaves, gy), None, None


class _BlockVJP(torch.autograd.Function):
    """gx = Jᵀgy, for whose backward pass only gy and x are kept."""

    @staticmethod
    def forward(ctx, gy, x, *rest):
        *weights, ctx.again = rest
        ctx.save_for_backward(gy, x, *weights)
        x = _leaf(x, True)
        with torch.enable_grad():
            y = ctx.again(x, tuple(weights))
        return torch.autograd.grad(y, x, gy)[0]

    @staticmethod
    def backward(ctx, v):
        saved = ctx.saved_tensors
        asked = [grad_is_needed(ctx, index) for index in range(len(saved))]
        gy, x, *weights = (
            _leaf(value, needed or index == 1)
            for index, (value, needed) in enumerate(zip(saved, asked, strict=True))
        )
        with torch.enable_grad():
            y = ctx.again(x, tuple(weights))
            (gx,) = torch.autograd.grad(y, x, gy, create_graph=True)
        return *_gradients(gx, [gy, x, *weights], v), None


def _leaf(value: Tensor, needed: bool) -> Tensor:
    return value.detach().requires_grad_(needed and value.is_floating_point())


def _gradients(output: Tensor, leaves: list[Tensor], direction: Tensor) -> list[Tensor | None]:
    """The gradient of ⟨output, direction⟩ with respect to each leaf that requires one."""
    asking = [leaf for leaf in leaves if leaf.requires_grad]
    found = iter(torch.autograd.grad(output, asking, direction, allow_unused=True))
    return [next(found) if leaf.requires_grad else None for leaf in leaves]
