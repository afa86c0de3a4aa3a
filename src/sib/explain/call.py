"""The arguments of an explanation method's function."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from sib.explain import arguments
from sib.explain.state import logits_of
from sib.functional import checks
from sib.models.layers import CamLayer


class AttributeOptions(TypedDict, total=False):
    """Keyword arguments of `sib.explain.attribute` without the seed."""

    normalize: str
    layer: str | nn.Module | None
    reshape: Callable[[Tensor], Tensor] | None
    baseline: float | Tensor
    n_steps: int
    n_samples: int
    noise_level: float
    window: float
    stride: float
    n_masks: int
    chunk_size: int


class SeededOptions(AttributeOptions, total=False):
    """Keyword arguments of `sib.explain.attribute`."""

    seed: int


@dataclass(frozen=True)
class Options:
    """Options of the methods, each explained in `sib.explain.attribute`.

    Example:
        >>> import sib, torch
        >>> options = sib.explain.Options(n_masks=200)
        >>> sib.explain.get_method("rise").cost((32, 32), options)
        200
    """

    baseline: float | Tensor = 0.0
    n_steps: int = 32
    n_samples: int = 16
    noise_level: float = 0.15
    window: float = 0.25
    stride: float = 0.125
    n_masks: int = 1000
    seed: int = 0
    chunk_size: int = 32

    def check(self, images: Tensor) -> None:
        """Raise ValueError if a value is not allowed for the images (B, C, H, W)."""
        for name in ("n_steps", "n_samples", "n_masks", "chunk_size"):
            checks.whole_number(name, getattr(self, name))
        checks.whole_number("seed", self.seed, smallest=0)
        checks.positive("noise_level", self.noise_level)
        for name in ("window", "stride"):
            checks.positive(name, getattr(self, name))
        if not self.stride <= self.window <= 1:
            raise ValueError(
                "stride must not exceed window, nor window 1, the whole side of the image; got "
                f"stride {self.stride:g} and window {self.window:g}"
            )
        arguments.broadcastable("baseline", self.baseline, images)

    def baseline_for(self, images: Tensor) -> Tensor:
        """x′ in the shape of the images."""
        return torch.as_tensor(self.baseline).to(images).expand_as(images)


@dataclass(frozen=True)
class Call:
    """The argument of a method's function, which returns the maps (B, H, W).

    Example:
        >>> import sib.explain
        >>> def distance_from_grey(call: sib.explain.Call):
        ...     return call.images.detach().abs().mean(dim=1)
        >>> method = sib.explain.register("contrast", distance_from_grey, family="perturbation")
    """

    model: nn.Module
    """The classifier, in evaluation mode."""
    images: Tensor
    """(B, C, H, W), a leaf that requires a gradient, on the model's device."""
    targets: Tensor
    """(B,) classes to explain."""
    logits: Tensor
    """(B, K), the images' logits. Methods with ``shares_pass`` may differentiate them and must keep
    their graph; for other methods they are detached."""
    options: Options
    layer: CamLayer | None = None
    """The last stage, for methods with ``needs_layer``."""
    extractors: dict[str, Any] = field(default_factory=dict)
    """torchcam's extractors, by method."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of other images, differentiable where autograd is on."""
        return logits_of(self.model, images)

    @cached_property
    def gradient(self) -> Tensor:
        """∂z_t/∂x (B, C, H, W), for methods with ``shares_pass``."""
        chosen = self.logits.gather(1, self.targets[:, None]).sum()
        return torch.autograd.grad(chosen, self.images, retain_graph=True)[0]
