"""Where a run computes."""

import resource
import sys
from typing import Any

import torch

from sib.utils.errors import InputError


def choose_device(name: str) -> torch.device:
    """The device of a name; ``auto`` takes a GPU where there is one.

    Raises:
        InputError: an unknown device, or one that this machine lacks.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"--device must be auto, cpu, cuda, cuda:N or mps; got {name!r}") from None
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise InputError(f"--device {name} is not on this machine; allowed here: {_allowed()}")
    return device


def describe_device(device: torch.device) -> dict[str, Any]:
    """What a record should hold about a device: its type, and of a GPU its name and TF32.

    torch computes float32 convolutions in TF32 on recent GPUs unless this is switched off.
    """
    facts: dict[str, Any] = {"type": device.type}
    if device.type == "cuda":
        facts["name"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
        facts["tf32_convolutions"] = torch.backends.cudnn.allow_tf32
    return facts


def set_determinism(device: torch.device, deterministic: bool) -> None:
    """Tell cuDNN whether it must give the same bits each time; does nothing without CUDA."""
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = deterministic
        torch.backends.cudnn.benchmark = False


def peak_memory(device: torch.device) -> int:
    """Largest memory so far in bytes: the device's allocations, or the process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def synchronize(device: torch.device) -> None:
    """Wait for the device, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _allowed() -> str:
    devices = ["cpu"] + [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ", ".join(devices + (["mps"] if torch.backends.mps.is_available() else []))
