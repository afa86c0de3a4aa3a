"""Rules by which an image is brought to the size of a network's input."""

import math
from typing import NamedTuple

from sib.utils.errors import InputError

Resize = str
"""``crop``, ``squash`` or ``pad``, and details where they are not the usual ones:
``crop:0.95:bicubic``, ``squash:bicubic``; see `parse_resize`."""
KINDS = ("crop", "squash", "pad")
INTERPOLATIONS = ("bilinear", "bicubic")
DIGITS = 7
"""Of a written share, enough for the exact size of a resized image of up to 8192 pixels."""


class ResizeRule(NamedTuple):
    """A rule in its parts."""

    kind: str
    """``"crop"``, ``"squash"`` or ``"pad"``."""
    share: float | None
    """Side of the centre crop over that of the resized image. None: without a crop, or, of
    ``"crop"``, the published 224 of 256 pixels."""
    interpolation: str
    """``"bilinear"`` or ``"bicubic"``."""

    def resized(self, side: int) -> int:
        """The side of the resized image whose centre of ``side`` pixels is kept."""
        if self.share is not None:
            return math.floor(side / self.share + 1e-3)  # 224 / 0.95 is 235, as in timm
        return round(side * 256 / 224) if self.kind == "crop" else side

    def __str__(self) -> str:
        """The rule as options and files hold it."""
        share = "" if self.share is None else f":{self.share:.{DIGITS}g}"
        return self.kind + share + ("" if self.interpolation == "bilinear" else ":bicubic")


def parse_resize(text: object, argument: str = "resize") -> ResizeRule:
    """The rule in ``KIND[:SHARE][:INTERPOLATION]``.

    Args:
        text: ``crop``, ``squash`` or ``pad``; of the first two with the share of the resized
            image's side that the centre crop keeps, above 0 and at most 1; with ``bilinear``,
            which is the usual interpolation, or ``bicubic``.
        argument: names it in the message.

    Raises:
        InputError: it is anything else.
    """
    kind, *details = text.split(":") if isinstance(text, str) else [""]
    share, interpolation = None, "bilinear"
    if details and details[-1] in INTERPOLATIONS:
        interpolation = details.pop()
    try:
        share = float(details.pop()) if details and kind != "pad" else None
    except ValueError:
        raise _refused(text, argument) from None
    if kind not in KINDS or details or not (share is None or 0 < share <= 1):
        raise _refused(text, argument)
    return ResizeRule(kind, share, interpolation)


def _refused(text: object, argument: str) -> InputError:
    return InputError(
        f"{argument} must be crop, squash or pad, if need be with the share that a centre crop "
        f"keeps and with bicubic, such as crop:0.95:bicubic; got {str(text)[:100]!r}"
    )
