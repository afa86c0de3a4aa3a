"""The entry of an explanation method; loads no torch, so that the command line can list them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from sib.utils.lazy import load

if TYPE_CHECKING:
    from torch import Tensor

    from sib.explain.call import Call, Options

Family = Literal["gradient", "cam", "perturbation"]
FAMILIES: tuple[str, ...] = get_args(Family)
Size = tuple[int, int]
PATH = re.compile(r"[\w.]+:\w+")


@dataclass(frozen=True)
class Method:
    """An explanation method.

    Example:
        >>> import sib.explain
        >>> method = sib.explain.get_method("gradcam")
        >>> method.title, method.family, method.needs_layer
        ('Grad-CAM', 'cam', True)
    """

    name: str
    """As users write it: small letters, digits and underscores."""
    title: str
    """The name that is shown to readers."""
    family: Family
    """What the map is computed from: gradients at the image, activations of a layer weighted by
    gradients (class activation maps), or forward passes of changed images."""
    function: "str | Callable[[Call], Tensor]"
    """Computes the maps (B, H, W) from a `Call`; or its path, ``"module:name"``."""
    passes: "int | str | Callable[[Options, Size], int]" = 3
    """Cost in forward passes per image; a backward pass counts as two. A number, or a function of
    the options and the image's size (H, W), or the path of one."""
    default: bool = False
    """Whether ``sib evaluate`` uses it by default."""
    in_gallery: bool = False
    """Whether ``sib report`` shows it by default."""
    needs_layer: bool = False
    """Whether it needs the last stage."""
    needs_relu: bool = False
    """Whether the model must have nn.ReLU modules."""
    shares_pass: bool = False
    """Whether it uses the logits of a forward pass that several methods share."""

    def __post_init__(self) -> None:
        """Raise ValueError if a value is not allowed."""
        if not isinstance(self.name, str) or not re.fullmatch("[a-z][a-z0-9_]*", self.name):
            raise ValueError(
                "name of a method must begin with a lower-case letter and hold lower-case "
                f"letters, digits and underscores; got {self.name!r}"
            )
        if self.family not in FAMILIES:
            raise ValueError(f"family must be one of {', '.join(FAMILIES)}; got {self.family!r}")
        is_path = isinstance(self.function, str) and PATH.fullmatch(self.function)
        if not is_path and not callable(self.function):
            raise ValueError(
                f"function of {self.name} must be callable, or its path as MODULE:NAME; got "
                f"{self.function!r}"
            )

    def __call__(self, call: "Call") -> "Tensor":
        """The maps (B, H, W)."""
        maps: Tensor = _loaded(self.function)(call)
        return maps

    def cost(self, size: Size, options: "Options | None" = None) -> int:
        """Number of forward passes per image of size (H, W); a backward pass counts as two."""
        if isinstance(self.passes, int):
            return self.passes
        from sib.explain.call import Options  # loads torch

        count: int = _loaded(self.passes)(options or Options(), size)
        return count


def _loaded(function: str | Callable[..., Any]) -> Callable[..., Any]:
    """A function, imported if it is given by its path."""
    found: Callable[..., Any] = load(function) if isinstance(function, str) else function
    return found
