"""What a classifier looks at in images that the user chooses."""

from pathlib import Path

import torch
from rich.console import Console

from sib import distributed
from sib.config.evaluate import ExplainConfig
from sib.data.files import printable
from sib.data.normalization import normalise
from sib.data.readers.decode import read_image
from sib.data.sample import Sample
from sib.data.transforms import JointTransform
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.classes import unnamed_note, with_classes
from sib.evaluation.from_options import open_from_options
from sib.evaluation.images import fitting_images, readable_images
from sib.evaluation.maps import layer_of, maps_of, print_costs, print_layer
from sib.explain import available_methods, default_methods, method_title
from sib.explain.normalization import normalize_maps
from sib.explain.state import logits_of
from sib.figures.overlay import draw_overlays
from sib.functional.label_kinds import THRESHOLD, kind_of
from sib.utils.errors import InputError
from sib.utils.image_size import height_width
from sib.utils.progress_bar import progress


def explain(config: ExplainConfig, console: Console) -> list[Path]:
    """Write one figure per image, and print the predictions.

    Returns:
        The figures.

    Raises:
        InputError: bad input, in one sentence; no figure is written.
    """
    device = distributed.join(config.device)
    images_given = distributed.raise_on_all_ranks(
        lambda: readable_images(config.images, config.on_bad_image == "skip")
    )
    checkpoint = distributed.raise_on_all_ranks(lambda: _open(config, device, console))
    images = distributed.raise_on_all_ranks(
        lambda: fitting_images(
            images_given, checkpoint.image_size, checkpoint.resize, config.on_bad_image == "skip"
        )
    )
    target = None if config.target is None else class_number(checkpoint, config.target)
    folder = distributed.raise_on_all_ranks(lambda: _figure_folder(config, checkpoint))
    size = height_width(checkpoint.image_size)
    print_costs(console, config.methods or default_methods(), size, config.attribution)
    pairs = list(zip(images, _figure_paths(images, folder), strict=True))
    own = [pairs[place] for place in distributed.own_places(len(pairs))]

    def draw(pair: tuple[Path, Path]) -> str:
        return _explain_one(config, checkpoint, *pair, target, device)

    with progress(console, "explaining", len(pairs)) as bar:
        for said in distributed.share_out(own, len(pairs), draw):
            console.print(said, highlight=False, markup=False, soft_wrap=True)
            bar(1)
    return [figure for _, figure in pairs]


def _open(config: ExplainConfig, device: torch.device, console: Console) -> Checkpoint:
    """The classifier; what is assumed about it is printed."""
    checkpoint = open_from_options(config, config.run, device, layer=config.layer)
    console.print(checkpoint.input, highlight=False, markup=False, soft_wrap=True)
    print_layer(console, layer_of(checkpoint), config.methods)
    checkpoint = with_classes(checkpoint, config.classes)
    if note := unnamed_note(checkpoint):
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    return checkpoint


def _figure_folder(config: ExplainConfig, checkpoint: Checkpoint) -> Path:
    """The folder for the figures, made once everything else is known to fit."""
    folder = config.out or checkpoint.folder / "explanations"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from None
    return folder


def _explain_one(
    config: ExplainConfig,
    checkpoint: Checkpoint,
    image: Path,
    figure: Path,
    target: int | None,
    device: torch.device,
) -> str:
    sample = JointTransform(checkpoint.image_size, resize=checkpoint.resize)(
        Sample(read_image(image, checkpoint.value_range), 0, None)
    )
    inputs = normalise(
        sample.image.as_subclass(torch.Tensor).unsqueeze(0), device, checkpoint.normalization
    )
    with torch.no_grad():
        logits = logits_of(checkpoint.model, inputs).float()
        probabilities = kind_of(checkpoint.model).probabilities(logits)[0]
    predicted = int(probabilities.argmax())
    methods = list(config.methods) or available_methods(checkpoint.model, inputs)
    maps = maps_of(checkpoint.model, inputs, target, methods, config.attribution)
    shown = {
        method_title(method): normalize_maps(attribution, config.normalize)[0].cpu()
        for method, attribution in maps.items()
    }
    said = f"{_name(checkpoint, predicted)}, {probabilities[predicted]:.3f}"
    if checkpoint.label_kind == "multi":
        order = probabilities.argsort(descending=True).tolist()
        present = [each for each in order if probabilities[each] > THRESHOLD]
        said = "; ".join(f"{_name(checkpoint, k)}, {probabilities[k]:.3f}" for k in present)
        said = said or f"no label; most probable {_name(checkpoint, predicted)}"
    explained = predicted if target is None else target
    footer = f"{checkpoint.name}; explained class {_name(checkpoint, explained)}"
    if target is not None and target != predicted:
        footer += f", probability {probabilities[target]:.3f}"
    footer += f"; each map divided by its own {_scale(config.normalize)}"
    if any((attribution < 0).any() for attribution in shown.values()):
        footer += "; red speaks for the class, blue against it"
    try:
        draw_overlays(figure, sample.image, shown, f"{printable(image.name)}: {said}", footer)
    except OSError as error:
        raise InputError(f"{figure} cannot be written: {error.strerror}") from None
    return f"{image}: {said}  → {figure}"


def class_number(checkpoint: Checkpoint, target: str) -> int:
    """The class with a name or number.

    Raises:
        InputError: there is no such class.
    """
    classes = checkpoint.names or []
    if target in classes:
        return classes.index(target)
    if target.isdecimal() and int(target) < checkpoint.outputs:
        return int(target)
    names = f" or one of {', '.join(classes[:5])}, …" if classes else ""
    raise InputError(
        f"--target must be a class number from 0 to {checkpoint.outputs - 1}{names}; got {target!r}"
    )


def _name(checkpoint: Checkpoint, label: int) -> str:
    return checkpoint.names[label] if checkpoint.names else f"class {label}"


def _scale(normalize: str) -> str:
    return {
        "max": "largest magnitude",
        "sum": "sum of magnitudes",
        "percentile": "99th percentile of magnitudes",
    }[normalize]


def _figure_paths(images: list[Path], folder: Path) -> list[Path]:
    """NAME.png for each image, numbered if names are equal."""
    taken: dict[str, int] = {}
    paths = []
    for image in images:
        taken[image.stem] = count = taken.get(image.stem, 0) + 1
        paths.append(folder / f"{image.stem}{f'-{count}' if count > 1 else ''}.png")
    return paths
