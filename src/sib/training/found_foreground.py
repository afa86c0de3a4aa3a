"""Foregrounds of the training images, found by the network that a run starts from."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sib.config.choices import Resize
from sib.data import BadSample, Source, make_loader
from sib.data.normalization import normalise
from sib.data.subset import SubsetSource
from sib.functional.area import Area, marked_area
from sib.functional.principal import (
    FeatureMoments,
    PrincipalComponent,
    component_map,
)
from sib.models.foreground_layer import ForegroundLayer, foreground_layer
from sib.models.mode import evaluation_mode
from sib.runs.foreground_file import FORMAT, FoundForegrounds
from sib.training.foreground_quality import ForegroundQuality
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, height_width, plain_size

MOST_IMAGES = 2000
"""Images for the principal component; from more, this many are drawn by the seed."""
MOST_KEPT = 2**29
"""Bytes of features that are kept between the two passes over the images."""
BATCH = 32

Track = Callable[[Any], Iterable[Any]]
"""Passes the batches of a loader on."""


class View(NamedTuple):
    """How images are shown to the start network."""

    image_size: ImageSize
    """Side in pixels, or height and width."""
    resize: Resize | None
    """As in `JointTransform`; None for the whole image, squashed."""
    normalization: str
    device: torch.device
    """Device of the network."""
    workers: int = 0
    """Processes that read images."""
    skip_bad: bool = False
    """Leave out images that cannot be read."""


class _Seen(NamedTuple):
    """The needed parts of a batch."""

    names: list[str]
    features: Tensor
    """(B, C, h, w), on the CPU."""
    foreground: Tensor
    """bool (B, 1, S, S)."""
    annotated: Tensor
    """bool (B,)."""


def find_foregrounds(
    model: nn.Module,
    source: Source,
    view: View,
    area: Area,
    layer: str | None = None,
    seed: int = 0,
    track: Track = lambda loader: loader,
) -> FoundForegrounds:
    """Find the foreground of every image from the features of a trained network.

    Let f be the features of a layer in evaluation mode, (C, h, w) for each image, and d their first
    principal component over all places of all images, with the sign that puts the images' border on
    the negative side. The map is m_p = (f_p − μ) · d, with μ the mean of f. The foreground is the
    part that m marks, see `sib.functional.area.marked_area`. Annotation is used only by
    `ForegroundQuality`.

    One pass over the images suffices if their features fit into 512 MiB. Otherwise
    there are two: the first computes the component, from at most 2,000 images drawn by the seed,
    and the second the maps.

    Args:
        model: the start network.
        source: the training images.
        view: how images are shown to the network.
        area: share of the pixels of a view, in (0, 1), or ``"otsu"``.
        layer: layer of the features; None for the architecture's own, see `foreground_layer`.
        seed: seed of the drawing.
        track: passes the batches of a loader on and shows progress.

    Returns:
        `FoundForegrounds`.

    Raises:
        InputError: there are fewer than two images, one cannot be read, or the features have no
            places, are constant or not finite.

    Source: `sib.functional.principal.component_map` names relatives.
    """
    try:
        place = find_layer(model, view, layer)
        return _find(model, source, view, area, place, seed, track)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"--foreground pretrained: {error}") from None


def find_layer(model: nn.Module, view: View, layer: str | None = None) -> ForegroundLayer:
    """The layer that `find_foregrounds` uses; raises the errors of `foreground_layer`."""
    images = torch.zeros(1, 3, *height_width(view.image_size), device=view.device)
    return foreground_layer(model, images, layer)


def _find(
    model: nn.Module,
    source: Source,
    view: View,
    area: Area,
    place: ForegroundLayer,
    seed: int,
    track: Track,
) -> FoundForegrounds:
    if len(source) < 2:
        raise ValueError(
            f"a principal component needs at least 2 training images; got {len(source)}"
        )
    chosen = sorted(np.random.default_rng(seed).permutation(len(source))[:MOST_IMAGES].tolist())
    drawn = source if len(chosen) == len(source) else SubsetSource(source, chosen)

    def look(images: Source) -> Callable[[], Iterator[_Seen]]:
        return lambda: _look(model, images, view, place, track)

    first, second = look(drawn), look(source)
    if len(source) * int(np.prod(place.shape)) * 4 <= MOST_KEPT and drawn is source:
        kept = list(first())
        first = second = lambda: iter(kept)
    component, images = _component(first(), place.name)
    quality, names, maps = ForegroundQuality(), [], []
    for seen in second():
        found = component_map(seen.features, component).float()
        quality.add(marked_area(found, area, _size(seen)), seen.foreground, seen.annotated)
        names += seen.names
        maps.append(found)
    facts = {
        "format": FORMAT,
        "layer": place.name,
        "shape": list(place.shape),
        "image_size": plain_size(view.image_size),
        "resize": view.resize,
        "area": area,
        "images": images,
        "explained": component.explained,
        "quality": quality.record(),
    }
    return FoundForegrounds(names, torch.cat(maps), facts)


def _component(batches: Iterator[_Seen], layer: str) -> tuple[PrincipalComponent, int]:
    """The principal component, and the number of images behind it."""
    moments = FeatureMoments()
    for seen in batches:
        try:
            moments.add(seen.features)
        except ValueError as error:
            raise ValueError(f"layer {layer}: {error}") from None
    try:
        return moments.principal_component(), moments.images
    except ValueError as error:
        raise ValueError(f"layer {layer}: {error}") from None


def _look(
    model: nn.Module, source: Source, view: View, place: ForegroundLayer, track: Track
) -> Iterator[_Seen]:
    """The features of all images, a batch at a time."""
    kept: list[Tensor] = []
    loader = make_loader(
        source,
        image_size=view.image_size,
        resize=view.resize or "squash",
        batch_size=BATCH,
        train=False,
        workers=view.workers,
        skip_bad=view.skip_bad,
    )
    handle = place.module.register_forward_hook(lambda _, inputs, output: kept.append(output))
    try:
        for batch in track(loader):
            if isinstance(batch, BadSample):
                if view.skip_bad:
                    continue
                raise InputError(batch.message)
            kept.clear()
            with evaluation_mode(model), torch.no_grad():
                model(normalise(batch.images, view.device, view.normalization))
            features = place.as_map(kept[-1]).float().cpu()
            yield _Seen(batch.names, features, batch.foreground, batch.annotated)
    finally:
        handle.remove()


def _size(seen: _Seen) -> tuple[int, int]:
    return seen.foreground.shape[-2], seen.foreground.shape[-1]
