"""The direction in which features vary most over the places of many images, as a map."""

from typing import NamedTuple

import torch
from torch import Tensor

from sib.functional import checks

SMALLEST_SIDE = 3
"""Smallest height and width in places, so that a map has an interior as well as a border."""
CONSTANT = 1e-12
"""Features are constant if their variance is at most this fraction of their mean square."""


class PrincipalComponent(NamedTuple):
    """The first principal component of features."""

    mean: Tensor
    """μ, (C,), float64."""
    direction: Tensor
    """d, (C,), float64, of norm 1; the border of the images lies on its negative side."""
    explained: float
    """Share of the variance that lies along d, in (0, 1]."""


class FeatureMoments:
    """Mean and covariance of features over all places of all images, one batch at a time.

    With f_i the feature vectors at n places, μ = Σ_i f_i / n and
    Σ = Σ_i (f_i − μ)(f_i − μ)ᵀ / n, in float64. The sums are taken about the mean of the first
    batch, so that a large mean does not cost precision.

    >>> moments = FeatureMoments()
    >>> for features in batches:
    ...     moments.add(features)
    >>> component = moments.principal_component()
    """

    def __init__(self) -> None:
        self.images = 0
        """Number of images so far."""
        self._places = self._border_places = 0

    def add(self, features: Tensor) -> None:
        """Add a batch.

        Args:
            features: (B, C, h, w), h and w at least 3; C, h and w are the same in every batch.

        Raises:
            ValueError: the shape differs, or a value is not finite.
        """
        check_features(features)
        values = features.detach().cpu().double()
        rows = values.permute(0, 2, 3, 1).flatten(0, 2)
        if not self.images:
            channels = rows.shape[1]
            self._origin = rows.mean(dim=0)
            self._sum, self._border_sum = torch.zeros(2, channels, dtype=torch.float64)
            self._products = torch.zeros(channels, channels, dtype=torch.float64)
        if rows.shape[1] != len(self._origin):
            raise ValueError(
                f"features must have {len(self._origin)} channels, as before; got {rows.shape[1]}"
            )
        rows = rows - self._origin
        border = _border(features.shape[-2:]).flatten().repeat(len(features))
        self._sum += rows.sum(dim=0)
        self._products += rows.mT @ rows
        self._border_sum += rows[border].sum(dim=0)
        self.images += len(features)
        self._places += len(rows)
        self._border_places += int(border.sum())

    def principal_component(self) -> PrincipalComponent:
        """The unit vector d that maximises dᵀ Σ d.

        Of d and −d it is the one with (mean of f over the border places − μ) · d ≤ 0. An object is
        seldom at the border of its image, so large values along d are more likely the object.

        Raises:
            ValueError: there were fewer than two images, or their features are constant.
        """
        if self.images < 2:
            raise ValueError(
                f"a principal component needs the features of at least 2 images; got {self.images}"
            )
        offset = self._sum / self._places
        covariance = self._products / self._places - torch.outer(offset, offset)
        variance, mean = covariance.trace(), self._origin + offset
        if variance <= CONSTANT * (variance + mean.square().sum()):
            raise ValueError("the features are the same at every place of every image")
        values, vectors = torch.linalg.eigh(covariance)
        direction = vectors[:, -1]
        if (self._border_sum / self._border_places - offset) @ direction > 0:
            direction = -direction
        return PrincipalComponent(mean, direction, (values[-1] / variance).item())


def component_map(features: Tensor, component: PrincipalComponent) -> Tensor:
    """How far each place lies along a principal component: m_p = (f_p − μ) · d.

    The sign of m divides the images along the direction in which the network's features vary most.

    Related methods, none of which is computed here: Deep Feature Factorization (Collins et al.
    2018, arXiv 1806.10206) factorises the same matrix of places and channels under a
    non-negativity constraint. TokenCut (Wang et al. 2022, arXiv 2202.11539) and LOST (Siméoni et
    al. 2021, arXiv 2109.14279) separate the object in a single image with a self-supervised
    transformer: the first by an eigenvector of the tokens' similarities, the second from a seed
    patch.

    Args:
        features: f, (B, C, h, w), floating point.
        component: the result of `FeatureMoments.principal_component`.

    Returns:
        m, (B, 1, h, w), float64 on the CPU, without gradient.

    Raises:
        ValueError: the shape differs, or a value is not finite.
    """
    check_features(features)
    centred = features.detach().cpu().double() - component.mean[:, None, None]
    return (centred * component.direction[:, None, None]).sum(dim=1, keepdim=True)


def check_features(features: Tensor) -> None:
    """Raise ValueError unless features are finite, (B, C, h, w) with at least 3 × 3 places."""
    checks.image_batch("features", features)
    if min(features.shape[-2:]) < SMALLEST_SIDE:
        raise ValueError(
            f"features must have at least {SMALLEST_SIDE} × {SMALLEST_SIDE} places; got "
            f"{features.shape[-2]} × {features.shape[-1]}"
        )
    if not features.isfinite().all():
        raise ValueError("features must be finite; got a value that is NaN or infinite")


def _border(size: tuple[int, ...]) -> Tensor:
    """True on the outermost places of a map (h, w)."""
    border = torch.ones(size, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    return border
