"""Work on a list of items that several processes share, its results in the items' order."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch.distributed as dist

from sib.distributed.processes import is_main_process, raise_any, rank, size
from sib.utils.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def own_places(count: int, chunk: int = 1) -> list[int]:
    """The places of this process: of the chunks of so many items every N-th, by its rank.

    Args:
        count: items of all processes.
        chunk: items that stay together, such as those of a batch, so that each process computes
            the same batches as one process would.
    """
    return [place for place in range(count) if place // chunk % size() == rank()]


def share_out(
    items: Iterable[Item], total: int, action: Callable[[Item], Result]
) -> Iterator[Result]:
    """Results of all processes in the items' order, in the first process; none in the others.

    The processes advance together, by an item each at a time, so that an error of one ends all.

    Args:
        items: of this process, every N-th of all.
        total: items of all processes.
        action: gives a result, which travels to the first process.

    Raises:
        InputError: in every process alike, where reading or the action raised it in one.
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
    """The values of all processes by rank, in the first process; nothing in the others."""
    if size() == 1:
        return [value]
    values: list[Any] | None = [None] * size() if is_main_process() else None
    dist.gather_object(value, values, dst=0)
    return values or []
