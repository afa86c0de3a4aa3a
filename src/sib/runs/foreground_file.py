"""The found foregrounds of a run's training images, in a file of the run folder."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sib.utils.errors import InputError
from sib.utils.files import write_whole
from sib.utils.resize import parse_resize

NAME = "foregrounds.safetensors"
FORMAT = 1
FACTS = {"format", "area", "resize", "layer", "image_size", "images"}
"""Required keys of the header."""


class FoundForegrounds(NamedTuple):
    """Maps of the training images that mark the foreground."""

    names: list[str]
    """(N,) names of the images."""
    maps: Tensor
    """(N, 1, h, w), float32."""
    facts: dict[str, Any]
    """How they were found and how good they are, as JSON values; see `FACTS`."""


def write_foregrounds(folder: Path, found: FoundForegrounds) -> None:
    """Write a run's file.

    Raises:
        InputError: the folder cannot be written.
    """
    # as JSON bytes, which hold any file name; a file's header is limited in size
    names = torch.frombuffer(bytearray(json.dumps(found.names).encode()), dtype=torch.uint8)
    content = save(
        {"maps": found.maps.contiguous(), "names": names}, {"sib": json.dumps(found.facts)}
    )
    try:
        write_whole(folder / NAME, content)
    except OSError as error:
        raise InputError(f"{folder / NAME} cannot be written: {error.strerror}") from None


def read_foregrounds(folder: Path) -> FoundForegrounds:
    """Read a run's file without running any code.

    Raises:
        InputError: it is missing, damaged or of an unknown format.
    """
    path = folder / NAME
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            maps, names = (file.get_tensor(key) for key in ("maps", "names"))
        facts = json.loads(metadata["sib"])
        listed = json.loads(names.numpy().tobytes())
    except FileNotFoundError:
        raise InputError(f"{path} is missing; start a new run") from None
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is damaged and cannot be read: {reason}") from None
    problem = _problem(maps, listed, facts)
    if problem:
        raise InputError(f"{path} is damaged: {problem}")
    return FoundForegrounds(listed, maps, facts)


def _problem(maps: Tensor, names: Any, facts: Any) -> str | None:
    """What is wrong with the content; None if nothing is."""
    if not isinstance(facts, dict) or not facts.keys() >= FACTS:
        return f"its header must give {', '.join(sorted(FACTS))}"
    if facts["format"] != FORMAT:
        return f"its format is {facts['format']!r}, and this sib reads {FORMAT}"
    area = facts["area"]
    if area != "otsu" and not (isinstance(area, float) and 0 < area < 1):
        return f"its area must lie between 0 and 1, or be otsu; got {area!r}"
    try:
        if facts["resize"] is not None:
            parse_resize(facts["resize"])
    except InputError as error:
        return f"its {error}"
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return "it lists no names of images"
    if len(set(names)) != len(names):
        return "a name is listed twice"
    if maps.dtype != torch.float32 or maps.ndim != 4 or maps.shape[1] != 1:
        return f"its maps must be float32 (N, 1, h, w); got {maps.dtype} {tuple(maps.shape)}"
    if len(maps) != len(names) or 0 in maps.shape:
        return f"it has {len(maps)} maps for {len(names)} images"
    return None if maps.isfinite().all() else "a map is not finite"
