"""A trained classifier with all that is needed to show it images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from sib.data.normalization import STATISTICS, Normalization
from sib.evaluation.weights import State, load_into, read_weights
from sib.models import build
from sib.models.inference import for_inference
from sib.runs.reader import Run, read_run
from sib.utils.errors import InputError

LARGEST_SIDE = 2**13
"""Of the input that a weights file names for itself: an image of that size is passed through the
model before anything else."""


@dataclass(frozen=True)
class Checkpoint:
    """A classifier in evaluation mode."""

    name: str
    """The run folder's name, or the weights file's."""
    path: Path
    """The weights file."""
    folder: Path
    """Where what is found out about it is written."""
    model: nn.Module
    arch: str
    classes: list[str] | None
    """(K,) names; None where the file does not tell."""
    outputs: int
    """K."""
    image_size: int
    normalization: Normalization
    """How images are made ready for it."""
    run: Run | None
    """The run that it comes from; None for a file of weights."""


def open_checkpoint(
    path: Path,
    device: torch.device,
    *,
    which: Literal["best", "last"] = "best",
    arch: str | None = None,
    image_size: int | None = None,
    normalization: Normalization | None = None,
    trust_code: bool = False,
) -> Checkpoint:
    """Open a run folder's weights, or a file of weights.

    Args:
        path: run folder, or ``.safetensors``, ``.pt`` or ``.pth``.
        device: where the model goes.
        which: of a run folder's two files of weights.
        arch: architecture of a file that does not tell its own.
        image_size: side of the square input, 224 where neither this nor the file tells.
        normalization: of the images, ``"half"`` where neither this nor the file tells.
        trust_code: whether a module that the file names as its architecture may be imported.

    Returns:
        `Checkpoint`.

    Raises:
        InputError: there are no weights, or they are not of this architecture.
    """
    run = read_run(path) if path.is_dir() else None
    file = path / f"{which}.safetensors" if run else path
    if run and not file.exists():
        raise InputError(f"{path} has no {file.name}: no epoch was finished, or it was removed")
    state, facts = read_weights(file)
    arch = arch or _told_arch(facts, file, trust_code)
    if arch is None:
        raise InputError(f"{path} does not tell its architecture: give --arch")
    side = image_size or _told_size(facts, file) or 224
    outputs = _outputs(arch, side, state, file)
    model = build(arch, outputs, side)
    load_into(model, state, file, f"{arch} with {outputs} classes")
    classes = facts.get("classes")
    if classes is not None and not _is_names(classes):
        raise InputError(f"{file} is damaged: its classes are no list of names")
    if classes is not None and len(classes) != outputs:
        raise InputError(f"{file} is damaged: it names {len(classes)} classes and has {outputs}")
    folder = path if run else path.parent / f"{path.stem}-evaluation"
    name = run.name if run else path.stem
    model = for_inference(model).to(device)
    normalization = normalization or facts.get("normalization") or "half"
    if not isinstance(normalization, str) or normalization not in STATISTICS:
        raise InputError(f"{file} is damaged: it names a normalization {normalization!r}")
    return Checkpoint(name, file, folder, model, arch, classes, outputs, side, normalization, run)


def _told_arch(facts: dict[str, Any], file: Path, trust_code: bool) -> str | None:
    """The architecture that a file names; a module that it names would be imported and run."""
    arch = facts.get("arch")
    if arch is not None and not isinstance(arch, str):
        raise InputError(f"{file} is damaged: its arch is no name")
    if arch is not None and ":" in arch and not trust_code:
        raise InputError(
            f"{file} names the architecture {arch!r}, whose module would be imported and run: give "
            "--trust-code if it is your own"
        )
    return arch


def _told_size(facts: dict[str, Any], file: Path) -> int | None:
    size = facts.get("image_size")
    if size is not None and (not isinstance(size, int) or not 1 <= size <= LARGEST_SIDE):
        raise InputError(
            f"{file} is damaged: its image_size must lie in 1 to {LARGEST_SIDE}; got {size!r}"
        )
    return size


def _is_names(classes: object) -> bool:
    return isinstance(classes, list) and all(isinstance(name, str) for name in classes)


def _outputs(arch: str, image_size: int, state: State, file: Path) -> int:
    """K, from the parameters whose shape depends on it."""
    two, three = (build(arch, count, image_size).state_dict() for count in (2, 3))
    head = [name for name in two if two[name].shape != three[name].shape]
    found = {len(state[name]) for name in head if name in state and state[name].ndim}
    if len(found) != 1 or min(found) < 2:
        raise InputError(f"{file} does not fit {arch}: it lacks the head ({', '.join(head)})")
    return found.pop()
