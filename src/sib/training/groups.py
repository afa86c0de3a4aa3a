"""Separate learning rates for the head and for each block of a model."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from torch import nn

from sib.config.train import TrainConfig
from sib.models.build import head_names

CONTAINERS = (nn.Sequential, nn.ModuleList)


class Groups(NamedTuple):
    """Parameters for an optimiser."""

    parameters: list[dict[str, Any]]
    scales: list[float]
    """Each group's factor on the learning rate."""


def parameter_groups(model: nn.Module, config: TrainConfig) -> Groups:
    """Group a model's parameters by learning rate.

    With layer decay d and blocks numbered 0 to L − 1 from the input, block l has the learning rate
    lr · d^(L − l). The head has lr, or a rate of its own.

    Args:
        model: the model whose parameters are grouped.
        config: the run's options.

    Returns:
        `Groups`; a single group if all learning rates are equal.

    Source: layer-wise decay as in BEiT, arXiv 2106.08254.
    """
    options = config.optimizer
    if options.layer_decay == 1 and options.head_learning_rate is None:
        return Groups([{"params": list(model.parameters())}], [1.0])
    own = dict(model.named_parameters())
    of_head = head_names(config.arch, config.side)
    head = [name for name in own if name in of_head]
    names = blocks(model, head)
    rate = options.head_learning_rate or options.learning_rate
    scales = [options.layer_decay ** (len(names) - place) for place in range(len(names))]
    return Groups(
        [{"params": [own[name] for name in block]} for block in (*names, head) if block],
        scales + [rate / options.learning_rate] * bool(head),
    )


def blocks(model: nn.Module, head: Collection[str]) -> list[list[str]]:
    """Names of the body's parameters, block by block, from the input.

    A block is a child of a Sequential or ModuleList, or of a module that holds most of the weights
    and has such a container. Modules without a weight of two or more axes, such as norms, belong to
    the block before them. A model's own parameters belong to the first block.
    """
    total = sum(p.numel() for p in model.parameters())
    found: list[list[str]] = [[]]
    for prefix, module in _units(model, "", total):
        own = [(prefix + name, p) for name, p in module.named_parameters()]
        names = [name for name, _ in own if name not in head]
        if any(p.ndim > 1 for name, p in own if name not in head) and found[-1]:
            found.append([])
        found[-1] += names
    listed = {name for block in found for name in block} | set(head)
    found[0] += [name for name, _ in model.named_parameters() if name not in listed]
    return [block for block in found if block]


def _units(module: nn.Module, prefix: str, total: int) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if _is_container(child, total):
            yield from _units(child, f"{prefix}{name}.", total)
        else:
            yield f"{prefix}{name}.", child


def _is_container(module: nn.Module, total: int) -> bool:
    if type(module) in CONTAINERS:
        return True
    most = 2 * sum(p.numel() for p in module.parameters()) > total
    return most and any(type(child) in CONTAINERS for child in module.children())
