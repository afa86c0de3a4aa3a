"""The methods of training by name: one line adds one.

This module imports no objective, so that the command line can list the methods without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sib.objectives.base import Objective


class Method(NamedTuple):
    """A method as the command line, the studies and the report know it."""

    title: str
    """How tables and figures call it."""
    objective: str
    """``"module:class"``; empty for plain cross-entropy."""
    needs_foreground: bool = False
    """Whether it learns nothing but cross-entropy from images without annotation."""
    options: tuple[str, ...] = ()
    """Its options among those of `config.options.RivalConfig`."""


METHODS: dict[str, Method] = {
    "sib": Method("S-IB", "sib.objectives.calibrated:CalibratedSpatialIB"),
    "ce": Method("cross-entropy", ""),
    "saliency_guided": Method(
        "saliency-guided",
        "sib.objectives.saliency_guided:SaliencyGuided",
        options=("weight", "balance", "masked_share"),
    ),
    "rrr": Method(
        "right reasons",
        "sib.objectives.right_reasons:RightReasons",
        needs_foreground=True,
        options=("weight", "balance"),
    ),
    "energy": Method(
        "energy loss",
        "sib.objectives.energy:EnergyLoss",
        needs_foreground=True,
        options=("weight", "balance", "at", "layer"),
    ),
}


def load_objective(name: str) -> "type[Objective]":
    """The class behind a method's name; `METHODS` lists the names."""
    module, _, cls = METHODS[name].objective.partition(":")
    return getattr(import_module(module), cls)
