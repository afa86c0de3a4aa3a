"""The metrics as torchmetrics classes: means over images, across batches and processes.

Each class is made from its entry in `sib.metrics.registry` when it is first requested, so a metric
is described only once. ``update`` takes what the function takes, and the function's options are
arguments of the class.
"""

from functools import cache
from inspect import Parameter, Signature, signature
from typing import Any

import torch
from torch import Tensor

from sib.functional.precision import to_float64
from sib.metrics.registry import METRICS, MetricSpec, needs_of

try:
    from torchmetrics import Metric
except ModuleNotFoundError as error:
    if error.name != "torchmetrics":
        raise
    raise ImportError(
        'the metric classes need torchmetrics: pip install "sib[explain]"; the functions work '
        "without it"
    ) from None

EXAMPLE_INPUTS = {
    "model": "torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), "
    "torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())",
    "images": "torch.randn(4, 3, 8, 8)",
    "attribution": "torch.rand(4, 8, 8)",
    "targets": "torch.arange(4)",
    "foreground": "torch.rand(4, 8, 8) < 0.5",
    "method": '"saliency"',
}


class ImageMean(Metric):
    """Mean over the images that have a value; the others are counted.

    ``compute()`` returns the mean, or NaN if no image has a value. ``counts()`` returns the numbers
    of images with and without a value. Under DDP all processes are included. ``plot()`` draws the
    mean, or a list of means, in the metric's range.

    Example:
        >>> import sib, torch
        >>> metric = sib.metrics.EnergyPointingGame()
        >>> metric.update(torch.ones(2, 4, 4), torch.eye(4, dtype=torch.bool).expand(2, 4, 4))
        >>> isinstance(metric, sib.metrics.ImageMean), metric.compute().item(), metric.counts()
        (True, 0.25, (2, 0))
    """

    is_differentiable = False
    full_state_update = False

    total: Tensor
    scored: Tensor
    skipped: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("scored", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("skipped", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def compute(self) -> Tensor:
        """Mean over the scored images."""
        return self.total / self.scored

    def counts(self) -> tuple[int, int]:
        """Images scored, and images skipped because they had no value."""
        with self.sync_context():
            return int(self.scored), int(self.skipped)

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw a mean, or a list of them, with matplotlib.

        Args:
            val: a result of ``compute()`` or ``forward()``, or a list of results; None for the
                current mean.
            ax: matplotlib axes to draw into; None for new ones.

        Returns:
            The figure, None where axes are given, and the axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        try:
            import matplotlib  # noqa: F401
        except ModuleNotFoundError:
            raise ImportError('plot() needs matplotlib: pip install "sib[report]"') from None
        return self._plot(val, ax)

    def _add(self, values: Tensor) -> None:
        known = ~values.isnan()
        self.total += to_float64(values[known]).sum()
        self.scored += known.sum()
        self.skipped += (~known).sum()


class FunctionMean(ImageMean):
    """Mean of a metric's function; the base of all classes made here."""

    spec: MetricSpec
    init_signature: Signature

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        names = list(_options(self.spec))
        options = dict(zip(names, args, strict=False))
        if len(args) > len(names) or options.keys() & kwargs.keys():
            raise TypeError(
                f"{type(self).__name__} takes each of {', '.join(names) or 'no options'} once"
            )
        options |= {name: kwargs.pop(name) for name in names if name in kwargs}
        super().__init__(**kwargs)
        self.options = {**_options(self.spec), **options}

    def __getattr__(self, name: str) -> Any:
        options = self.__dict__.get("options", {})
        if name in options:
            return options[name]
        return super().__getattr__(name)


@cache
def metric_class(spec: MetricSpec) -> type[FunctionMean]:
    """The torchmetrics class of a metric.

    Args:
        spec: an entry of `sib.metrics.METRICS`.

    Returns:
        A class whose ``update`` takes what the metric needs, in order, and whose arguments are the
        options of the function.

    Example:
        >>> import sib
        >>> sib.metrics.metric_class(sib.metrics.METRICS["pointing_game"]).__name__
        'PointingGame'
    """
    function = spec.load()
    parameters = signature(function).parameters
    taken = [parameters[name] for name in spec.needs]

    def update(self: FunctionMean, *args: Any, **kwargs: Any) -> None:
        self._add(function(*args, **kwargs, **self.options))

    self_parameter = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    update.__signature__ = Signature([self_parameter, *taken])  # type: ignore[attr-defined]
    update.__doc__ = f"Add a batch: {', '.join(spec.needs)}, as `{function.__name__}` takes them."
    return type(
        spec.class_name,
        (FunctionMean,),
        {
            "__module__": __name__,
            "__doc__": _docstring(spec),
            "spec": spec,
            "update": update,
            "higher_is_better": spec.higher_is_better,
            "plot_lower_bound": _bound(spec.range[0]),
            "plot_upper_bound": _bound(spec.range[1]),
        },
    )


def _options(spec: MetricSpec) -> dict[str, Any]:
    """Keyword-only parameters of the function, and their defaults."""
    function = spec.load()
    return {
        name: parameter.default
        for name, parameter in signature(function).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY and name not in needs_of(function)
    }


def _bound(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def _docstring(spec: MetricSpec) -> str:
    function, options = spec.load(), _options(spec)
    lines = [
        f"Mean over images of `{function.__name__}`, in [{spec.range[0]:g}, {spec.range[1]:g}].",
        "",
        f"{'Larger' if spec.higher_is_better else 'Smaller'} is better. Source: {spec.source}.",
        "",
    ]
    if options:
        listed = ", ".join(f"{name}={value!r}" for name, value in options.items())
        lines += [f"Args: the options of the function, {listed}.", ""]
    lines += [
        "Example:",
        "    >>> import sib, torch",
        f"    >>> metric = sib.metrics.{spec.class_name}()",
        *(f"    >>> {name} = {EXAMPLE_INPUTS[name]}" for name in spec.needs),
        f"    >>> metric.update({', '.join(spec.needs)})",
        "    >>> sum(metric.counts())",
        "    4",
    ]
    return "\n".join(lines)


def __getattr__(name: str) -> Any:
    spec = METRICS.by_class(name) if not name.startswith("__") else None
    if spec is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return metric_class(spec)


def __dir__() -> list[str]:
    return sorted([*globals(), *(spec.class_name for spec in METRICS.values())])
