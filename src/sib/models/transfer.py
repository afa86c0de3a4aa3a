"""Load weights into a model: all of them, or only the body's for a new task."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sib.models.names import COUNTER, check_for_copies, match_names
from sib.models.weights import State
from sib.utils.errors import InputError
from sib.utils.nearest import perhaps

SMALLEST_SHARE = 0.9
"""Of the body's parameters that must be in the file, and of the file's that must be in the body."""
STATISTICS = ("running_mean", "running_var")


class Taken(NamedTuple):
    """The tensors that a model took from a file."""

    taken: list[str]
    """Names of the model's tensors that were in the file."""
    new: list[str]
    """Names of those that keep their random initialisation."""
    left_out: list[str]
    """Names in the file of the model's tensors that this model does not have."""

    def __str__(self) -> str:
        """In words."""
        words = f"{len(self.taken)} of {len(self.taken) + len(self.new)} tensors"
        if self.new:
            words += f"; new: {_some(self.new)}"
        if self.left_out:
            words += f"; left out: {_some(self.left_out)}"
        return words


def load_into(model: nn.Module, state: State, source: str, name: str) -> None:
    """Load weights into a model, which must have exactly the same tensors.

    Args:
        model: the model to change.
        state: as `read_weights` gave it.
        source: what messages call the file.
        name: what messages call the model.

    Raises:
        InputError: they are of another architecture or number of classes, or hold NaN.
    """
    own = model.state_dict()
    found, foreign = match_names(state, own, source)
    check_for_copies(found, own, state, source)
    wrong = [_shapes(state[theirs], own[key], key) for key, theirs in found.items()]
    lacking = [
        f"there is no {key}{perhaps(key, foreign)}"
        for key in own
        if key not in found and not key.endswith(COUNTER)
    ]
    problems = [each for each in wrong if each] + lacking
    problems += [f"{key} is not part of it" for key in foreign]
    if problems:
        more = f" (and {len(problems) - 1} more differences)" if len(problems) > 1 else ""
        raise InputError(f"{source} does not fit {name}: {problems[0]}{more}")
    _copy(own, state, found, source)


def transfer(
    model: nn.Module,
    state: State,
    head: Collection[str],
    source: str,
    name: str,
    *,
    keep_head: bool = True,
) -> Taken:
    """Load the weights of a network that was trained elsewhere into a model for other classes.

    Args:
        model: the model to change.
        state: as `read_weights` gave it.
        head: names of the model's tensors whose shape depends on the number of classes; they keep
            their random start where the file's have another shape.
        source: what messages call the file.
        name: what messages call the model.
        keep_head: whether a head of the same shape is taken.

    Returns:
        `Taken`.

    Raises:
        InputError: the weights are of another architecture, hold NaN, or lack batch norm's
            statistics.
    """
    own = model.state_dict()
    found, foreign = match_names(state, own, source)
    check_for_copies(found, own, state, source)
    _check_architecture(own, state, found, foreign, head, f"{source} does not fit {name}")
    same = all(state[found[key]].shape == own[key].shape for key in head if key in found)
    if not (keep_head and same and all(key in found for key in head)):
        found = {key: theirs for key, theirs in found.items() if key not in head}
    _copy(own, state, found, source)
    new = [key for key in own if key not in found and not key.endswith(COUNTER)]
    return Taken([key for key in own if key in found], new, foreign)


def _check_architecture(
    own: State,
    state: State,
    found: dict[str, str],
    foreign: list[str],
    head: Collection[str],
    sentence: str,
) -> None:
    body = [key for key, value in own.items() if key not in head and value.is_floating_point()]
    missing = [key for key in body if key not in found]
    for key in body:
        problem = _shapes(state[found[key]], own[key], key) if key in found else ""
        if problem:
            size = "; --image-size decides this shape" if "pos" in key else ""
            raise InputError(f"{sentence}: {problem}{size}")
    share = 1 - _numel(own, missing) / max(_numel(own, body), 1)
    if share < SMALLEST_SHARE:
        raise InputError(
            f"{sentence}: it holds {share:.0%} of the body's parameters, and at least "
            f"{SMALLEST_SHARE:.0%} are needed; there is no {missing[0]}"
            f"{perhaps(missing[0], foreign or state)}"
        )
    for key in missing:
        if key.endswith(STATISTICS):
            raise InputError(
                f"{sentence}: there is no {key}, a running statistic of batch norm; save "
                "model.state_dict(), which holds the buffers too"
            )
    taken = [found[key] for key in body if key in found]
    share = _numel(state, taken) / max(_numel(state, [*taken, *foreign]), 1)
    if share < SMALLEST_SHARE:
        raise InputError(
            f"{sentence}: {share:.0%} of its parameters are part of it, and at least "
            f"{SMALLEST_SHARE:.0%} are needed; {foreign[0]} is not"
        )


def _shapes(value: Tensor, own: Tensor, key: str) -> str:
    """Why two tensors do not match, in words; empty if they do."""
    if value.shape != own.shape:
        return f"{key} has shape {tuple(value.shape)} in place of {tuple(own.shape)}"
    if value.is_floating_point() != own.is_floating_point():
        quantised = own.is_floating_point() and value.dtype in (torch.int8, torch.uint8)
        advice = "; give the weights from before quantisation" if quantised else ""
        return f"{key} holds {value.dtype} in place of {own.dtype}{advice}"
    return ""


@torch.no_grad()
def _copy(own: State, state: State, found: dict[str, str], source: str) -> None:
    for theirs in found.values():
        if state[theirs].is_floating_point() and not state[theirs].isfinite().all():
            raise InputError(f"{source} holds NaN or infinite values in {theirs}")
        if theirs.endswith("running_var") and (state[theirs] < 0).any():
            raise InputError(f"{source} holds a negative variance in {theirs}")
    for key, theirs in found.items():
        own[key].copy_(state[theirs])


def _numel(state: State, names: Iterable[str]) -> int:
    return sum(state[name].numel() for name in names)


def _some(names: list[str], most: int = 4) -> str:
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more
