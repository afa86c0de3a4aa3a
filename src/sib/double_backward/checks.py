"""Refuse what cannot be differentiated twice, before it fails in the backward pass."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

SELF_CHECKPOINTED = (
    "the model recomputes parts of itself (torch.utils.checkpoint), which ends in the first "
    "backward pass: switch that off, as by model.set_grad_checkpointing(False) in timm and "
    "model.gradient_checkpointing_disable() in transformers, and give checkpoint=True (sib train "
    "--checkpoint) to save memory"
)
"""What is wrong, and how to fix it."""
# Autograd nodes that have a first but not a second derivative, and how to avoid them.
_ONCE_ONLY = {
    "ScaledDotProduct": (
        "a fused attention kernel was used, which cannot be differentiated twice: compute the "
        "logits inside `with sib.second_order():`"
    ),
    "SyncBatchNorm": (
        "SyncBatchNorm has no second derivative (pytorch#61222): use BatchNorm2d or GroupNorm"
    ),
    "CheckpointFunction": SELF_CHECKPOINTED,
    "CompiledFunction": (
        "the model was compiled by torch.compile, which cannot be differentiated twice: pass the "
        "model as it was before torch.compile"
    ),
}


def check_model(model: nn.Module) -> None:
    """Raise if a model contains a layer that cannot be differentiated twice.

    Raises:
        ValueError: the model contains SyncBatchNorm (pytorch#61222), checkpoints itself (a switch
            of timm or transformers), or was compiled.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.SyncBatchNorm):
            raise ValueError(
                f"model must not hold SyncBatchNorm (at {name or 'its root'}), which has no second "
                "derivative (pytorch#61222): use BatchNorm2d, GroupNorm or FrozenBatchNorm2d"
            )
        switches = ("grad_checkpointing", "gradient_checkpointing")
        if any(getattr(module, switch, False) is True for switch in switches):
            raise ValueError(f"model must be differentiable twice: {SELF_CHECKPOINTED}")
    if type(model).__name__ == "OptimizedModule":
        raise ValueError(f"model must be differentiable twice: {_ONCE_ONLY['CompiledFunction']}")


def check_graph(logits: Tensor) -> None:
    """Raise if the graph of ``logits`` contains an operation without a second derivative.

    Raises:
        ValueError: fused attention or a compiled model was found; the message says what to change.
    """
    for node in graph_nodes(logits):
        for prefix, reason in _ONCE_ONLY.items():
            if node.name().startswith(prefix):
                raise ValueError(f"logits must be differentiable twice: {reason}")


def graph_nodes(tensor: Tensor) -> Iterator[Any]:
    """Each node of the autograd graph that a tensor was computed by, once."""
    waiting, seen = [tensor.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting.extend(previous for previous, _ in node.next_functions)
