"""Random numbers that are drawn a second time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def random_state(device: torch.device) -> list[Tensor]:
    """Of the generators that a model on the device may draw from."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


@contextmanager
def rng_state(before: list[Tensor], device: torch.device) -> Iterator[None]:
    """Draw from a given state; afterwards the generators continue as if nothing was repeated."""
    after = random_state(device)
    _set(before, device)
    try:
        yield
    finally:
        _set(after, device)


def _set(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])
