"""A trained classifier with everything that is needed to show it images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from sib.config.choices import Resize
from sib.data.readers.decode import ValueRange, parse_value_range
from sib.functional.label_kinds import BINARY_CLASSES, kind_of, set_label_kind
from sib.models.axes import in_options
from sib.models.build import build_random, count_logits
from sib.models.catalogue import check_known
from sib.models.head import outputs_of
from sib.models.inference import for_inference
from sib.models.layers import cam_layer, choose_layer, chosen_layer
from sib.models.outputs import output_note
from sib.models.pretrained import published_facts
from sib.models.start import (
    find_normalization,
    find_resize,
    recorded_arch,
    recorded_classes,
    recorded_label_kind,
    recorded_size,
    weights_file,
)
from sib.models.transfer import load_into
from sib.models.weights import read_weights
from sib.runs.archive import check_has_weights
from sib.runs.reader import Run, read_run
from sib.utils.errors import InputError
from sib.utils.files import sha256_of
from sib.utils.image_size import ImageSize, height_width, plain_size, size_in_words
from sib.utils.names import separated
from sib.utils.normalization import Normalization, normalization_from
from sib.utils.resize import parse_resize

SHOWN = 4
"""Most classes that a description names."""
ASSUMED_SIZE = " (assumed, as the file does not record it: give --image-size if it is another)"


@dataclass(frozen=True)
class Checkpoint:
    """A classifier in evaluation mode."""

    name: str
    """The name of the run folder, or of the weights file."""
    path: Path
    """The weights file."""
    folder: Path
    """Folder for what is found out about it."""
    model: nn.Module
    arch: str
    classes: list[str] | None
    """(K,) names; None if the file does not give them."""
    outputs: int
    """K; 2 for a single logit, whose classes are negative and positive."""
    image_size: ImageSize
    normalization: Normalization
    """How images are prepared for it."""
    run: Run | None
    """The run that it comes from; None for a file of weights."""
    normalization_source: str = ""
    """Where the normalisation comes from."""
    resize: Resize = "crop"
    """How images are brought to its size."""
    resize_source: str = ""
    """Where that rule comes from."""
    size_note: str = ""
    """Added to the size where it is an assumption."""
    is_binary: bool = False
    """Whether it has a single logit."""
    part: str = ""
    """Which of the weights in the file these are, in words; empty where it holds no others."""

    @property
    def label_kind(self) -> str:
        """``"multi"`` for several labels an image, else ``"single"``."""
        return kind_of(self.model).name

    @property
    def names(self) -> list[str] | None:
        """(K,) names of the classes for what is shown; negative and positive for a single logit."""
        return self.classes or (list(BINARY_CLASSES) if self.is_binary else None)

    @property
    def input(self) -> str:
        """Describe what the classifier is shown, its classes, and which layer is read."""
        source = f" ({self.normalization_source})" if self.normalization_source else ""
        layer, outputs = chosen_layer(self.model), output_note(self.model)
        names = _some(self.names) if self.names else "without names"
        return (
            f"{self.arch} at {size_in_words(self.image_size)} pixels{self.size_note}, "
            f"resize {self.resize}"
            + (f" ({self.resize_source})" if self.resize_source else "")
            + f", normalisation {self.normalization}{source}; {self.outputs} classes, {names}"
            + (f"; weights: {self.part}" if self.part else "")
            + (f"; layer {layer}" if layer else "")
            + (f"; {outputs}" if outputs else "")
        )

    def record(self) -> dict[str, Any]:
        """What a written evaluation or audit records about the classifier."""
        return {
            "name": self.name,
            "weights": self.path.name,
            "weights_sha256": sha256_of(self.path),
            **({"weights_part": self.part} if self.part else {}),
            "arch": self.arch,
            "image_size": plain_size(self.image_size),
            "resize": self.resize,
            "resize_source": self.resize_source,
            "normalization": self.normalization,
            "normalization_source": self.normalization_source,
            "layer": chosen_layer(self.model),
            "outputs": output_note(self.model),
            **({"label_kind": self.label_kind} if self.label_kind != "single" else {}),
        }

    @property
    def value_range(self) -> ValueRange | None:
        """Values of the run's 16-bit images that become black and white; see `read_image`.

        Raises:
            InputError: the run's configuration is damaged.
        """
        options = (self.run.config.get("input") or {}) if self.run else {}
        found = options.get("value_range") if isinstance(options, dict) else None
        if found is None:
            return None
        try:
            return parse_value_range(str(found))
        except InputError as error:
            raise InputError(f"{self.folder / 'config.yaml'} is damaged: {error}") from None


def open_checkpoint(
    path: Path,
    device: torch.device,
    *,
    which: Literal["best", "last", "ema"] = "best",
    arch: str | None = None,
    image_size: ImageSize | None = None,
    resize: Resize | None = None,
    normalization: Normalization | None = None,
    layer: str | None = None,
    trust_code: bool = False,
    fold: bool = True,
    label_kind: str | None = None,
) -> Checkpoint:
    """Open a run folder's weights, or a file of weights.

    Args:
        path: run folder, or ``.safetensors``, ``.pt`` or ``.pth``.
        device: where the model goes.
        which: which of a run folder's weights.
        arch: architecture, for a file that does not name its own.
        image_size: side of the square input, or its height and width. Default: what the file
            names, or what the architecture's published weights were trained with, or 224.
        resize: how images are brought to that size. Default: what the file names, or that of the
            architecture's published weights, or ``"crop"``.
        normalization: normalisation of the images. Default: what the file names, or that of the
            architecture's published weights.
        layer: module for class activation maps. Default: the run's own, or the architecture's.
        trust_code: whether to import the module of an architecture that the file names.
        fold: merge batch norms into the preceding convolutions, which is faster. Otherwise the
            model's parts keep the architecture's own names.
        label_kind: ``"single"`` or ``"multi"``. Default: what the file names, or ``"single"``.

    Returns:
        `Checkpoint`.

    Raises:
        InputError: there are no weights, they do not fit the architecture, or their
            normalisation is not known.
    """
    if not path.exists():
        check_has_weights(path)
    run = read_run(path) if path.is_dir() else None
    file = weights_file(path, which)
    state, facts = read_weights(file)
    arch = arch or _trusted_arch(facts, file, trust_code)
    if arch is None:
        raise InputError(f"{path} does not name its architecture: give --arch")
    check_known(arch)
    published = published_facts(arch)
    given = image_size or recorded_size(facts, file)
    side = given or (published.image_size if published else 224)
    model = build_random(arch, outputs_of(arch, side, state, file), side)
    logits = count_logits(model, side)
    load_into(model, state, str(file), f"{arch} with {logits} outputs")
    set_label_kind(model, label_kind or recorded_label_kind(facts, file))
    outputs = 2 if logits == 1 else logits
    classes = recorded_classes(facts, file)
    if classes is not None and len(classes) != outputs:
        raise InputError(f"{file} is damaged: it names {len(classes)} classes and has {outputs}")
    if normalization is None:
        normalization, source = find_normalization(facts, arch, file)
    else:
        normalization, source = normalization_from(normalization), "as given"
    if normalization is None:
        raise InputError(
            f"{file} does not state the normalisation of its images, and {arch} has no published "
            "weights to take it from: give --normalization, such as half, imagenet or MEAN/STD"
        )
    rule, rule_source = (resize, "as given") if resize else find_resize(facts, arch, file)
    _choose_layer(model, layer, facts, file, side)
    folder = path if run else path.parent / f"{path.stem}-evaluation"
    return Checkpoint(
        name=run.name if run else path.stem,
        path=file,
        folder=folder,
        model=(for_inference(model) if fold else model.eval()).to(device),
        arch=arch,
        classes=classes,
        outputs=outputs,
        image_size=side,
        normalization=normalization,
        normalization_source=source,
        run=run,
        resize=str(parse_resize(rule)),
        resize_source=rule_source,
        size_note="" if given else ASSUMED_SIZE,
        is_binary=logits == 1,
        part=facts.get("part", ""),
    )


def _some(names: list[str]) -> str:
    """The first names of classes."""
    shown = separated(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def _trusted_arch(facts: dict[str, Any], file: Path, trust_code: bool) -> str | None:
    """The architecture that a file names; a module that it names would be imported and run."""
    arch = recorded_arch(facts, file)
    if arch is not None and ":" in arch and not trust_code:
        raise InputError(
            f"{file} names the architecture {arch!r}, whose module would be imported and run: give "
            "--trust-code if it is your own"
        )
    return arch


def _choose_layer(
    model: nn.Module, given: str | None, facts: dict[str, Any], file: Path, size: ImageSize
) -> None:
    """Give a model its layer: the given one, or else the one that its file names."""
    if given is not None:
        try:
            given = cam_layer(model, torch.zeros(1, 3, *height_width(size)), given).name
        except ValueError as error:
            raise InputError(f"--layer: {in_options(str(error))}") from None
    layer = facts.get("layer") if given is None else given
    if layer is None:
        return
    try:
        choose_layer(model, layer)
    except ValueError as error:
        raise InputError(f"{file} is damaged: its {error}") from None
