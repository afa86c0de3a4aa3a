"""What a run starts from: published weights, a file, or a run folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sib.functional.label_kinds import KINDS
from sib.models.catalogue import TIMM
from sib.models.pretrained import Facts, published_facts, published_weights
from sib.models.weights import State, read_weights
from sib.utils.errors import InputError
from sib.utils.files import or_weights_in, sha256_of
from sib.utils.image_size import ImageSize, parse_size
from sib.utils.normalization import Normalization, normalization_from
from sib.utils.resize import Resize, parse_resize

PRETRAINED = "pretrained"
LARGEST_SIDE = 2**13
"""Of the input that a weights file names for itself: an image of that size is passed through the
model before anything else."""


@dataclass(frozen=True)
class Start:
    """Weights to start from, and facts about their training."""

    state: State
    source: str
    """What messages call them."""
    normalization: Normalization | None
    """None if neither the file nor the architecture specifies it."""
    normalization_source: str
    image_size: ImageSize | None
    resize: Resize
    """How images are brought to their size."""
    resize_source: str
    arch: str | None
    """The architecture that the file names."""
    classes: list[str] | None
    """(K,) names of their classes."""
    sha256: str | None
    """Of the file."""
    part: str = ""
    """Which of the weights in the file these are, in words; empty where it holds no others."""

    def describe(self) -> dict[str, Any]:
        """Plain values for the record of a run."""
        names = ("source", "normalization_source", "resize", "resize_source", "arch", "sha256")
        return {name: getattr(self, name) for name in (*names, *(["part"] if self.part else []))}


def read_start(weights: str | Path, arch: str, image_size: ImageSize | None = None) -> Start:
    """Read the weights that a run starts from.

    Args:
        weights: ``"pretrained"``, a file of weights, or a run folder.
        arch: the architecture that they are for, as `build` takes it.
        image_size: side of the square images, where it is already decided.

    Returns:
        `Start`.

    Raises:
        InputError: there are no such weights, or they cannot be read.
    """
    published = published_facts(arch)
    if str(weights) == PRETRAINED:
        return _published(arch, published, image_size)
    path = weights_file(Path(weights))
    state, facts = read_weights(path)
    normalization, where = find_normalization(facts, arch, path)
    resize, rule_from = find_resize(facts, arch, path)
    return Start(
        state=state,
        source=str(weights),
        normalization=normalization,
        normalization_source=where,
        image_size=recorded_size(facts, path) or (published.image_size if published else None),
        resize=resize,
        resize_source=rule_from,
        arch=recorded_arch(facts, path),
        classes=recorded_classes(facts, path),
        sha256=sha256_of(path),
        part=facts.get("part", ""),
    )


def _published(arch: str, published: Facts | None, image_size: ImageSize | None) -> Start:
    size = image_size or (published.image_size if published else 224)
    state, file = published_weights(arch, size)
    assert published is not None  # published_weights has raised otherwise
    normalization, where = find_normalization({}, arch, Path())
    resize, rule_from = find_resize({}, arch, Path())
    return Start(
        state=state,
        source=f"pretrained ({file})",
        normalization=normalization,
        normalization_source=where,
        image_size=size,
        resize=resize,
        resize_source=rule_from,
        arch=arch,
        classes=published.classes,
        sha256=None,
    )


def weights_file(path: Path, which: str = "best") -> Path:
    """The file of weights in a run folder, or the file itself.

    Raises:
        InputError: the folder holds no run, or its weights are missing.
    """
    if not path.is_dir():
        return path
    file = path / f"{which}.safetensors"
    if not (path / "config.yaml").is_file():
        raise InputError(
            f"{path} holds no run (no config.yaml); give a run folder of sib train"
            f"{or_weights_in(path)}"
        )
    if not file.exists():
        reason = "it was trained without --ema" if which == "ema" else "no epoch was finished"
        raise InputError(f"{path} has no {file.name}: {reason}, or it was removed")
    return file


def find_normalization(
    facts: dict[str, Any], arch: str, file: Path
) -> tuple[Normalization | None, str]:
    """The normalisation that weights expect, and where it comes from.

    Args:
        facts: of the file.
        arch: their architecture.
        file: for messages.

    Raises:
        InputError: the file names one that is not allowed.
    """
    if "normalization" in facts:
        try:
            return normalization_from(facts["normalization"]), "its header"
        except InputError as error:
            raise InputError(f"{file} is damaged: its {error}") from None
    published = published_facts(arch)
    if published is None:
        return None, "not known"
    return normalization_from(published.normalization), _configuration(arch)


def find_resize(facts: dict[str, Any], arch: str, file: Path) -> tuple[Resize, str]:
    """How images are brought to the size of weights, and where that rule comes from.

    Args:
        facts: of the file. A file with facts but without a rule was trained with ``"crop"``.
        arch: their architecture.
        file: for messages.

    Raises:
        InputError: the file names a rule that is not allowed.
    """
    if facts:
        try:
            rule = str(parse_resize(facts.get("resize", "crop")))
        except InputError as error:
            raise InputError(f"{file} is damaged: its {error}") from None
        return rule, "its header" if "resize" in facts else "the default"
    published = published_facts(arch)
    if published is None or published.resize is None:
        return "crop", "the default"
    return published.resize, _configuration(arch)


def _configuration(arch: str) -> str:
    library = "timm's configuration" if arch.startswith(TIMM) else "torchvision's configuration"
    return f"{library} of {arch}"


def recorded_arch(facts: dict[str, Any], file: Path) -> str | None:
    """The architecture that a file names."""
    arch = facts.get("arch")
    if arch is not None and not isinstance(arch, str):
        raise InputError(f"{file} is damaged: its arch is not a name")
    return arch


def recorded_size(facts: dict[str, Any], file: Path) -> ImageSize | None:
    """The side of the images that a file names, or their height and width."""
    given = size = facts.get("image_size")
    if isinstance(given, str) and not given.isdecimal():  # a square is written as a number
        try:
            size = parse_size(given)
        except InputError:
            size = 0
    sides = size if isinstance(size, tuple) else (size,)
    if given is not None and not all(type(s) is int and 1 <= s <= LARGEST_SIDE for s in sides):
        raise InputError(
            f"{file} is damaged: its image_size must be from 1 to {LARGEST_SIDE}; got {given!r}"
        )
    return size


def recorded_label_kind(facts: dict[str, Any], file: Path) -> str:
    """What a file's outputs mean, ``"single"`` where it does not tell.

    Raises:
        InputError: it names something else.
    """
    kind = facts.get("label_kind", "single")
    if kind not in KINDS:
        raise InputError(f"{file} is damaged: it names a label kind {kind!r}")
    return str(kind)


def recorded_classes(facts: dict[str, Any], file: Path) -> list[str] | None:
    """The names of the classes in a file."""
    classes = facts.get("classes")
    if classes is None:
        return None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise InputError(f"{file} is damaged: its classes are not a list of names")
    return classes
