"""What an objective computes for a batch: the parts of each image, and the terms made of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Parts(NamedTuple):
    """What the terms of a batch are computed from; every tensor has one entry per image.

    Example:
        >>> import sib, torch
        >>> term = torch.tensor([0.2, 0.4])  # of two images
        >>> parts = sib.Parts({"edges": (term,)})
        >>> len(parts.tensors())
        1
    """

    values: dict[str, tuple[Tensor, ...]]
    """The tensors (B, …) through which each term depends on the model, by the term's name."""
    mask: Tensor | None = None
    """(B, 1, H, W), the foreground that the terms use; None if the method has none."""
    reconstruction: Tensor | None = None
    """(B, C, H, W), the VJP R; None if the method has none."""

    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors that the loss depends on, in the order of the terms."""
        return tuple(tensor for own in self.values.values() for tensor in own)

    def with_tensors(self, tensors: Iterable[Tensor]) -> "Parts":
        """The same parts with other tensors, given in the order of `tensors`."""
        rest = iter(tensors)
        values = {name: tuple(next(rest) for _ in own) for name, own in self.values.items()}
        return self._replace(values=values)

    def detach(self) -> "Parts":
        """The same parts without their graph."""
        return Parts.concatenate([self])

    @staticmethod
    def concatenate(several: Sequence["Parts"]) -> "Parts":
        """The parts of a batch from those of its micro-batches, without graph."""
        columns = zip(*(parts.tensors() for parts in several), strict=True)
        joined = several[0].with_tensors(_concatenate(column) for column in columns)
        masks = [parts.mask for parts in several if parts.mask is not None]
        found = [parts.reconstruction for parts in several if parts.reconstruction is not None]
        return joined._replace(
            mask=_concatenate(masks) if masks else None,
            reconstruction=_concatenate(found) if found else None,
        )


@dataclass(frozen=True, eq=False)
class Terms:
    """What an objective computed for one batch: scalars by name, and two maps.

    Example:
        >>> import sib, torch
        >>> images = torch.randn(4, 3, 32, 32, requires_grad=True)
        >>> with sib.second_order():
        ...     logits = sib.models.SmallResNet(3)(images)
        >>> terms = sib.SpatialIB(window_size=7)(logits, images)
        >>> sorted(terms.values), terms.mask.shape
        (['background', 'foreground'], torch.Size([4, 1, 32, 32]))
    """

    values: dict[str, Tensor]
    """The terms without weights."""
    weighted: dict[str, Tensor]
    """What each term adds to the loss."""
    weights: dict[str, float | Tensor]
    """The factor that each term's penalty was multiplied by."""
    mask: Tensor | None = None
    """(B, 1, H, W), the foreground, in [0, 1]; None if the method has none."""
    reconstruction: Tensor | None = None
    """(B, C, H, W), the VJP R; None if the method has none."""

    @property
    def loss(self) -> Tensor:
        """The sum of the weighted terms, to be added to the classification loss."""
        total, *others = self.weighted.values()
        for each in others:
            total = total + each
        return total

    @property
    def foreground(self) -> Tensor:
        """Old name of ``values["foreground"]``; for the calibrated objective 1 − ρ_layer."""
        return (
            self.values["foreground"] if "foreground" in self.values else 1 - self.values["layer"]
        )

    @property
    def background(self) -> Tensor:
        """Old name of ``values["background"]``; for the calibrated objective ρ_image."""
        return self.values["background" if "background" in self.values else "image"]

    def detach(self) -> "Terms":
        """The same terms without their graph."""
        return self.map(Tensor.detach)

    def map(self, function: Callable[[Tensor], Tensor]) -> "Terms":
        """The same terms with a function applied to each of their tensors."""
        return Terms(
            {name: function(value) for name, value in self.values.items()},
            {name: function(value) for name, value in self.weighted.items()},
            map_weights(self.weights, function),
            None if self.mask is None else function(self.mask),
            None if self.reconstruction is None else function(self.reconstruction),
        )


def map_weights(
    weights: dict[str, float | Tensor], function: Callable[[Tensor], Tensor]
) -> dict[str, float | Tensor]:
    """Weights by name with a function applied to those that are tensors."""
    return {
        name: function(weight) if isinstance(weight, Tensor) else weight
        for name, weight in weights.items()
    }


def _concatenate(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach() for tensor in tensors])
