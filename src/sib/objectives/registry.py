"""The training methods by name; a new one takes one line.

This module imports no objective, so that the command line can list the methods without torch.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from sib.utils.errors import InputError
from sib.utils.nearest import perhaps
from sib.utils.plugins import load_entry_points, names_with_plugins

if TYPE_CHECKING:
    from sib.objectives.base import Objective

GROUP = "sib.objectives"
"""Entry-point group through which other packages add methods."""


class Method(NamedTuple):
    """A method as the command line, the studies and the report know it."""

    title: str
    """Its name in tables and figures."""
    objective: str
    """``"module:class"``; empty for plain cross-entropy."""
    needs_foreground: bool = False
    """Whether it reduces to cross-entropy on images without annotation."""
    needs_layer: bool = False
    """Whether it looks at the feature map of the last stage."""
    without_layer: str = ""
    """The option with which it does not."""
    mixes: bool = False
    """Whether it can train on mixed images, which have no single class to explain."""


METHODS: dict[str, Method] = {
    "sib": Method("S-IB", "sib.objectives.calibrated:CalibratedSpatialIB", mixes=True),
    "ce": Method("cross-entropy", "", mixes=True),
    "saliency_guided": Method("saliency-guided", "sib.objectives.saliency_guided:SaliencyGuided"),
    "rrr": Method(
        *("right reasons", "sib.objectives.right_reasons:RightReasons"),
        needs_foreground=True,
        mixes=True,
    ),
    "cgc": Method(
        *("Grad-CAM consistency", "sib.objectives.cgc:GradCAMConsistency"),
        needs_layer=True,
        mixes=True,
    ),
    "energy": Method(
        *("energy loss", "sib.objectives.energy:EnergyLoss"),
        needs_foreground=True,
        needs_layer=True,
        without_layer="--rival.at input",
    ),
}
"""The methods that `sib` itself provides."""


def method_names() -> tuple[str, ...]:
    """The names that ``--method`` accepts, other packages' included; loads none of them."""
    return names_with_plugins(METHODS, GROUP)


def check_method(name: str) -> None:
    """Raise InputError unless a method has this name."""
    if name in METHODS or name in (names := method_names()):
        return
    raise InputError(
        f"--method {name!r} is unknown{perhaps(name, names)}; allowed are {', '.join(names)}"
    )


def method_title(name: str) -> str:
    """A method's title in tables and figures; its name if another package adds it."""
    return METHODS[name].title if name in METHODS else name


def training_title(config: Mapping[str, Any]) -> str:
    """How a run was trained, for tables and figures: its method, and whether masks guided S-IB.

    Args:
        config: content of the run's ``config.yaml``.
    """
    title, share = method_title(str(config["method"])), config.get("guided_share") or 0.0
    if config["method"] != "sib" or not share:
        return title
    return f"guided {title}" if share == 1 else f"{title} guided by {share:.3g} of the masks"


def needs_foreground(name: str) -> bool:
    """Whether a method needs annotation; a method of another package is loaded to find out."""
    return METHODS[name].needs_foreground if name in METHODS else added(name).needs_foreground


def load_objective(name: str) -> "type[Objective]":
    """The class behind a method's name.

    Raises:
        InputError: the package that adds it cannot be loaded, or adds something else.
    """
    if name not in METHODS:
        return added(name)
    module, _, cls = METHODS[name].objective.partition(":")
    objective: type[Objective] = getattr(import_module(module), cls)
    return objective


def added(name: str) -> "type[Objective]":
    """The class that another package adds under a name."""
    from sib.objectives.base import Objective  # loads torch, which listing methods does not need

    check_method(name)
    found = load_entry_points(GROUP).get(name)
    if not (isinstance(found, type) and issubclass(found, Objective)):
        raise InputError(f"{GROUP}: {name!r} must be a class derived from sib.Objective")
    return found
