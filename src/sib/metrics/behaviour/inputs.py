"""Checks of the audit's inputs."""

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from sib.functional import checks
from sib.metrics.behaviour.conditions import CONDITIONS

Batches = Iterable[Sequence[Tensor]]
"""(images (B, C, H, W), labels (B,), foreground (B, 1, H, W)) and, where known, groups (B,)."""


def checked(batches: Batches) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    """The batches, each with its groups or None; raise ValueError if one is invalid."""
    shape = None
    for batch in batches:
        if not 3 <= len(batch) <= 4:
            raise ValueError(
                "each batch must be (images, labels, foreground) or (images, labels, foreground, "
                f"groups); got {len(batch)} parts"
            )
        images, labels, foreground = batch[:3]
        checks.image_batch("images", images)
        checks.foreground(foreground, images, look=True)
        if shape is not None and images.shape[1:] != shape:
            raise ValueError(
                f"all batches must have images of one shape; got {tuple(shape)} and "
                f"{tuple(images.shape[1:])}"
            )
        shape = images.shape[1:]
        groups = batch[3] if len(batch) == 4 else None
        for name, numbers in (("labels", labels), ("groups", groups)):
            if numbers is not None and (
                numbers.shape != (len(images),) or numbers.dtype.is_floating_point
            ):
                raise ValueError(
                    f"{name} must be whole numbers ({len(images)},); got {numbers.dtype} of shape "
                    f"{checks.shape(numbers)}"
                )
        yield images, labels.cpu().long(), foreground, None if groups is None else groups.cpu()


def usable(foreground: Tensor) -> Tensor:
    """(B,), whether an image has an object and a background."""
    inside = (foreground > 0).flatten(1)
    return inside.any(dim=1) & ~inside.all(dim=1)


def check_options(
    batches: Batches, conditions: Sequence[str], noise: float, donors: int, seed: int
) -> None:
    if isinstance(batches, Iterator):
        raise ValueError("batches are read twice: give a list or a loader, not an iterator")
    if isinstance(conditions, str) or not conditions:
        raise ValueError(f"conditions must be a list of names; got {conditions!r}")
    for name in conditions:
        checks.choice("conditions", name, CONDITIONS)
    checks.positive("noise", noise)
    checks.whole_number("donors", donors, smallest=2)
    checks.whole_number("seed", seed, smallest=0)
