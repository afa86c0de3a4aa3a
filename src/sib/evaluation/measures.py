"""The metrics of an evaluation, by name."""

from collections.abc import Mapping

from torch import Tensor, nn

from sib.metrics.registry import BUILT_IN, METRICS, MetricSpec

Measure = MetricSpec
MEASURES: Mapping[str, MetricSpec] = METRICS
DEFAULT = tuple(spec.name for spec in BUILT_IN if spec.default)


def score(
    measure: str,
    method: str,
    model: nn.Module,
    images: Tensor,
    attribution: Tensor,
    targets: Tensor,
    foreground: Tensor,
) -> Tensor:
    """Compute one metric of the maps of a batch.

    Args:
        measure: one of `MEASURES`.
        method: the method that gave the maps.
        model: the model that they explain.
        images: (B, C, H, W).
        attribution: (B, H, W).
        targets: (B,) explained classes.
        foreground: (B, H, W), bool, all False where it is unknown.

    Returns:
        (B,), NaN for an image without a value.
    """
    values: Tensor = MEASURES[measure](
        model=model,
        images=images,
        attribution=attribution,
        targets=targets,
        foreground=foreground,
        method=method,
    )
    if not isinstance(values, Tensor) or values.shape != (len(images),):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"metric {measure} must return ({len(images)},) values; got {got}")
    return values
