"""The entry of a metric: its name, its function, what it needs, and how to read it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

INPUTS = ("model", "images", "attribution", "targets", "foreground", "method")
"""What a metric can ask for, by the names of its function's parameters."""


@dataclass(frozen=True)
class MetricSpec:
    """A metric, what it needs, and how to read it.

    Example:
        >>> import sib
        >>> spec = sib.metrics.METRICS["pointing_game"]
        >>> spec.title, spec.needs, spec.range
        ('pointing', ('attribution', 'foreground'), (0, 1))
    """

    name: str
    """Name in options, files and tables, such as ``"pointing_game"``."""
    title: str
    """Short form for a column heading."""
    function: str | Callable[..., Any]
    """Values (B,) of a batch, NaN for an image without one; or its path, ``"module:name"``."""
    needs: tuple[str, ...] = ()
    """Names from `INPUTS`; if empty, read from the function's positional parameters."""
    range: tuple[float, float] = (-math.inf, math.inf)
    """Smallest and largest value."""
    higher_is_better: bool = True
    source: str = "own"
    """Publication, or ``"own"``."""
    class_name: str = ""
    """Name of its torchmetrics class; if empty, made from ``name``."""
    default: bool = False
    """Whether ``sib evaluate`` computes it by default; only used for built-in metrics."""
    differentiable: bool = False
    """Whether its values have a gradient with respect to the attribution."""

    def __post_init__(self) -> None:
        """Raise ValueError if a field is not allowed."""
        if not self.name.isidentifier():
            raise ValueError(f"the name of a metric must be a Python name; got {self.name!r}")
        if not self.needs and callable(self.function):
            object.__setattr__(self, "needs", needs_of(self.function))
        unknown = [name for name in self.needs if name not in INPUTS]
        if unknown or not self.needs:
            raise ValueError(
                f"metric {self.name} must need one or more of {', '.join(INPUTS)}; got "
                f"{', '.join(unknown) or 'nothing'}"
            )
        if not self.range[0] < self.range[1]:
            raise ValueError(f"metric {self.name} must have range (low, high); got {self.range}")
        if not self.class_name:
            camel = "".join(word.capitalize() for word in self.name.split("_"))
            object.__setattr__(self, "class_name", camel)

    @property
    def needs_foreground(self) -> bool:
        """Whether it has values only if the foreground is known."""
        return "foreground" in self.needs

    @property
    def needs_model(self) -> bool:
        """Whether it runs the classifier, and so costs more than a metric of the map alone."""
        return "model" in self.needs

    def load(self) -> Callable[..., Any]:
        """The function itself, imported if it is given by its path."""
        if callable(self.function):
            return self.function
        module, _, name = self.function.partition(":")
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found

    def __call__(self, **inputs: Any) -> Any:
        """The values (B,), from inputs of which only the needed ones are used."""
        return self.load()(**{name: inputs[name] for name in self.needs})


def needs_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the positional parameters."""
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    parameters = signature(function).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind in kinds)
