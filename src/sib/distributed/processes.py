"""A run of several processes started by torchrun: their ranks, and how they agree on values.

Without torchrun there is one process, and every function here does what one process needs.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from sib.distributed.launcher import joined, launched
from sib.distributed.rendezvous import rendezvous
from sib.utils.device import choose_device
from sib.utils.errors import InputError, ProcessLost

# gloo's messages about a connection whose other end is gone
GONE = ("gloo/transport/", "Connection closed by peer", "Connection reset by peer", "Broken pipe")
T = TypeVar("T")


def join(device: str) -> torch.device:
    """Join the other processes, if there are any, and choose the device of this one.

    Args:
        device: ``auto``, ``cpu`` or ``cuda`` (one GPU for each process of a machine). Without
            torchrun, any name that `choose_device` accepts.

    Raises:
        InputError: on every process, if one of them cannot have the device.
    """
    if not launched():
        return choose_device(device)
    if not dist.is_initialized():
        # numbers that the processes agree on stay on the CPU, which avoids waiting for a GPU
        gpus = device != "cpu" and torch.cuda.is_available() and dist.is_nccl_available()
        store, own, count = rendezvous()
        backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
        dist.init_process_group(backend, store=store, rank=own, world_size=count)
    return raise_on_all_ranks(lambda: _own_device(device))


def size() -> int:
    """Number of processes."""
    return dist.get_world_size() if joined() else 1


def rank() -> int:
    """Rank of this process, 0 ≤ rank < size."""
    return dist.get_rank() if joined() else 0


def is_main_process() -> bool:
    """Whether this is the process that writes files and prints output."""
    return rank() == 0


def all_reduce_max(*numbers: int) -> list[int]:
    """The largest of each number over all processes."""
    if size() == 1:
        return list(numbers)
    values = torch.tensor(numbers, dtype=torch.int64)
    dist.all_reduce(values, dist.ReduceOp.MAX)
    return values.tolist()


def all_reduce_sum(values: Tensor) -> Tensor:
    """The sum over all processes, on the CPU."""
    values = values.cpu()
    if size() > 1:
        dist.all_reduce(values)
    return values


def all_gather_object(value: T) -> list[T]:
    """The values of all processes, by rank."""
    if size() == 1:
        return [value]
    values: list[Any] = [None] * size()
    dist.all_gather_object(values, value)
    return values


def broadcast_object(value: T) -> T:
    """The value of the first process."""
    if size() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def broadcast_module(module: nn.Module, buffers_only: bool = False) -> None:
    """Copy the first process's module to all processes."""
    if size() > 1:
        tensors = module.buffers() if buffers_only else module.state_dict().values()
        for tensor in tensors:
            dist.broadcast(tensor.detach(), src=0)


def raise_on_all_ranks(action: Callable[[], T]) -> T:
    """Run an action on every process; if it fails on one, raise on all of them.

    Raises:
        InputError: with the message of the lowest rank that failed.
    """
    result, sentence = None, None
    try:
        result = action()
    except InputError as error:
        sentence = str(error)
    raise_any(sentence)
    return result  # type: ignore[return-value]


def raise_any(sentence: str | None, kind: type[Exception] = InputError) -> None:
    """Raise on every process the first message that one of them has."""
    (bad,) = all_reduce_max(sentence is not None)
    if bad:
        raise kind(next(each for each in all_gather_object(sentence) if each is not None))


@contextmanager
def translate_lost_peer() -> Iterator[None]:
    """Report the loss of another process in one sentence instead of torch's page-long error.

    Raises:
        ProcessLost: a collective failed.
    """
    try:
        yield
    except RuntimeError as error:
        if size() == 1:
            raise
        if not isinstance(error, dist.DistError) and not any(sign in str(error) for sign in GONE):
            raise
        raise ProcessLost(
            "another process of this run has ended; torchrun reports which, and restarts all of "
            "them if given --max-restarts"
        ) from None


def rank_seed(seed: int) -> int:
    """A seed for this process alone; the first process keeps the given seed."""
    if is_main_process():
        return seed
    entropy = np.random.SeedSequence((seed, rank()))
    return int(entropy.generate_state(1, np.uint64)[0] >> 1)


def _own_device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(
            f"--device must be auto, cpu or cuda under torchrun, which gives each process a GPU of "
            f"its own; got {name!r}"
        )
    device = choose_device(name)
    if device.type != "cuda":
        return device
    place, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if place >= count:
        raise InputError(
            f"--nproc-per-node must be at most {count}, the number of GPUs of this machine; there "
            f"is a process number {place + 1}"
        )
    torch.cuda.set_device(place)
    return torch.device("cuda", place)
