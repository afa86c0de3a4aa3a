"""Divide a list of items among several processes, with results in the items' order."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch.distributed as dist

from sib.distributed.processes import is_main_process, raise_any, rank, size
from sib.utils.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def own_places(count: int, chunk: int = 1) -> list[int]:
    """The indices of this process's items: every N-th chunk, starting at its rank.

    Args:
        count: number of items of all processes.
        chunk: number of items that stay together, such as those of a batch, so that the batches are
            those that a single process would compute.
    """
    return [place for place in range(count) if place // chunk % size() == rank()]


def share_out(
    items: Iterable[Item], total: int, action: Callable[[Item], Result]
) -> Iterator[Result]:
    """Results of all processes in the items' order, on the first process; none on the others.

    The processes advance together, one item each at a time, so that an error on one ends all.

    Args:
        items: the items of this process, every N-th of all.
        total: number of items of all processes.
        action: computes a result, which is sent to the first process.

    Raises:
        InputError: on every process, if reading or the action raised it on one.
    """
    waiting = iter(items)
    for start in range(0, total, size()):
        result, sentence = None, None
        if start + rank() < total:
            try:
                result = action(next(waiting))
            except InputError as error:
                sentence = str(error)
        raise_any(sentence)
        yield from gather_to_main(result)[: total - start]


def gather_to_main(value: Any) -> list[Any]:
    """The values of all processes by rank, on the first process; an empty list on the others."""
    if size() == 1:
        return [value]
    values: list[Any] | None = [None] * size() if is_main_process() else None
    dist.gather_object(value, values, dst=0)
    return values or []
