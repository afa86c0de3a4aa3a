"""In which order a network's convolutions keep their numbers in memory."""

from typing import Literal

import torch
from torch import nn

Format = Literal["contiguous", "channels_last"]


def choose_memory_format(model: nn.Module, device: torch.device) -> Format:
    """The faster memory format for training, by the kind of network and device.

    Channels last for networks with depthwise convolutions on a CPU, whose S-IB step is 2 to 7 %
    shorter then (docs/speed.md). Contiguous for all others: dense convolutions gain little there,
    and on a GPU it has not been measured. The choice depends on nothing that varies from run to
    run, so that equal runs stay equal to the last bit.

    Args:
        model: any classifier.
        device: where it is trained.
    """
    depthwise = any(_is_depthwise(module) for module in model.modules())
    return "channels_last" if depthwise and device.type == "cpu" else "contiguous"


def set_memory_format(model: nn.Module, chosen: Format) -> None:
    """Store the weights of two-dimensional convolutions in a memory format, in place.

    Their outputs follow the weights, so images need no conversion. Values do not change, and sums
    differ by rounding at most.
    """
    if chosen == "channels_last":
        model.to(memory_format=torch.channels_last)


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
