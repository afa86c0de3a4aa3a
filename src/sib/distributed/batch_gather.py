"""The terms of a batch that is distributed over several processes.

Every process computes the same term of the whole batch, and differentiates it with respect to its
own images only. The gradient of the term is the sum over the N processes, but
DistributedDataParallel takes the mean, so each gradient is multiplied by N here. The backward pass
needs no communication.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from sib.functional.parts import LOCAL, BatchGather

SCOPES = ("local", "global")


def batch_gather(scope: str) -> BatchGather:
    """How the parts on this process are combined with those on the others.

    Args:
        scope: ``"local"``: not at all. ``"global"``: all processes of torch's default process group
            form one batch; without a process group the same as ``"local"``.
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
    """Raise if sizes differ: the collective would hang, or mix up images."""
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
    """rows rowsᵀ over all processes, each of which computes only its own block of rows."""

    @staticmethod
    def forward(ctx, rows):
        whole = gather(rows)
        ctx.save_for_backward(whole)
        return gather(rows @ whole.T)

    @staticmethod
    def backward(ctx, gradient):
        (whole,) = ctx.saved_tensors
        return dist.get_world_size() * _own(gradient + gradient.T) @ whole
