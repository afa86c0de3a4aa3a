"""The terms of a batch that is spread over processes, one process knowing each part.

Every process computes the same term of the whole batch, and differentiates it by its own part only.
DistributedDataParallel then takes the mean of the gradients over N processes, where the gradient of
the term is their sum; so each is multiplied by N here. Nothing is sent in the backward pass.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from sib.functional.parts import LOCAL, BatchGather

SCOPES = ("local", "global")


def batch_gather(scope: str) -> BatchGather:
    """How the parts of this process are combined with those of the others.

    Args:
        scope: ``"local"``: they do not. ``"global"``: those of every process of torch's default
            process group make one batch; without a process group the same as local.
    """
    if scope == "local" or not _several():
        return LOCAL
    return BatchGather(_GlobalProducts.apply, _Gathered.apply)


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gather(values: Tensor) -> Tensor:
    """The values of all processes, (B, …) → (N·B, …) in the order of their ranks, without gradient.

    Raises:
        ValueError: the processes hold different shapes.
    """
    values = values.detach().contiguous()
    _check_same_size(values)
    whole = values.new_empty(dist.get_world_size() * len(values), *values.shape[1:])
    dist.all_gather_into_tensor(whole, values)
    return whole


def _check_same_size(values: Tensor) -> None:
    """A collective of different sizes would hang, or mix up images."""
    mine = torch.tensor([values.shape[0], values[0].numel()], device=values.device)
    sizes = mine.new_empty(dist.get_world_size(), 2)
    dist.all_gather_into_tensor(sizes, mine[None])
    if (sizes != mine).any():
        found = ", ".join(str(size) for size in sizes[:, 0].tolist())
        raise ValueError(
            "hsic_scope global needs batches of the same shape in every process; got batches of "
            f"{found} images"
        )


def _own(values: Tensor) -> Tensor:
    """The part of this process."""
    return values.chunk(dist.get_world_size())[dist.get_rank()]


class _Gathered(torch.autograd.Function):
    """`gather` with the gradient of this process's part."""

    @staticmethod
    def forward(ctx, values):
        return gather(values)

    @staticmethod
    def backward(ctx, gradient):
        return dist.get_world_size() * _own(gradient)


class _GlobalProducts(torch.autograd.Function):
    """rows rowsᵀ of all processes, each of which computes its block of rows alone."""

    @staticmethod
    def forward(ctx, rows):
        whole = gather(rows)
        ctx.save_for_backward(whole)
        return gather(rows @ whole.T)

    @staticmethod
    def backward(ctx, gradient):
        (whole,) = ctx.saved_tensors
        return dist.get_world_size() * _own(gradient + gradient.T) @ whole
