"""The precision of everything that is computed after the VJP."""

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half-precision tensors as float32, others unchanged.

    Quantiles of a VJP near 1e-6, and its variance near 1e-12, lie below the smallest numbers of
    float16 and below the resolution of bfloat16.
    """
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def to_float64(tensor: Tensor) -> Tensor:
    """The tensor in float64, or in float32 on MPS, which has no float64."""
    return tensor.float() if tensor.is_mps else tensor.double()
