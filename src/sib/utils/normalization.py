"""The normalisation of images as options and files name it."""

import math

from sib.utils.errors import InputError

Normalization = str
"""half, imagenet, or mean and deviation as text, "0.5,0.5,0.5/0.25,0.25,0.25"."""
Statistics = tuple[tuple[float, ...], tuple[float, ...]]

STATISTICS: dict[str, Statistics] = {
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and deviation of each channel, on images in [0, 1]."""


def statistics(normalization: Normalization) -> Statistics:
    """Mean and deviation of the three channels.

    Args:
        normalization: a name in `STATISTICS`, or MEAN/STD, each of them one number or three
            with commas between them; deviations are above 0.

    Raises:
        InputError: it is neither.
    """
    if normalization in STATISTICS:
        return STATISTICS[normalization]
    mean, _, deviation = normalization.partition("/")
    try:
        found = _three(mean.split(",")), _three(deviation.split(","))
    except ValueError:
        raise _refused(normalization) from None
    if min(found[1]) <= 0:
        raise _refused(normalization)
    if max(found[0]) > 1:
        raise InputError(
            "normalization must be for images in [0, 1]: divide a mean and a deviation for images "
            f"in [0, 255] by 255; got {normalization[:100]!r}"
        )
    return found


def normalization_from(value: object) -> Normalization:
    """The normalisation that a file names, in one spelling.

    Args:
        value: as `statistics` takes it, or ``{"mean": [...], "std": [...]}``.

    Returns:
        The name in `STATISTICS` where there is one; MEAN/STD otherwise.

    Raises:
        InputError: it names none.
    """
    if isinstance(value, dict) and set(value) >= {"mean", "std"}:
        try:
            text = "/".join(",".join(map(str, _three(value[key]))) for key in ("mean", "std"))
        except (TypeError, ValueError):
            raise _refused(value) from None
    elif isinstance(value, str):
        text = value
    else:
        raise _refused(value)
    found = statistics(text)
    for name, known in STATISTICS.items():
        if found == known:
            return name
    return "/".join(",".join(f"{number:.6g}" for number in numbers) for numbers in found)


def _three(numbers: object) -> tuple[float, ...]:
    found = [float(number) for number in numbers]  # type: ignore[attr-defined]
    if len(found) not in (1, 3) or not all(map(math.isfinite, found)):
        raise ValueError
    return tuple(found * 3 if len(found) == 1 else found)


def _refused(value: object) -> InputError:
    return InputError(
        f"normalization must be {', '.join(STATISTICS)} or MEAN/STD of images in [0, 1], "
        "such as 0.5,0.5,0.5/0.25,0.25,0.25 with deviations above 0; "
        f"got {str(value)[:100]!r}"
    )
