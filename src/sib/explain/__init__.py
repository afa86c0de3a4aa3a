"""Explanation methods behind one call: (model, images, targets) → (B, H, W), raw.

captum and torchcam are loaded when a method that needs them is first called.
"""

from typing import Any

from sib.explain.api import attribute, attribute_all
from sib.explain.availability import available_methods, unavailable_methods
from sib.explain.method import Call, Method, Options
from sib.explain.normalization import NORMALIZATIONS, normalize_maps
from sib.explain.registry import (
    cost_notes,
    default_methods,
    gallery_methods,
    get_method,
    method_family,
    method_names,
    method_title,
    register,
)
from sib.models.layers import CamLayer, cam_layer, candidate_layers, describe

METHODS: tuple[str, ...]
"""Names of all methods, those of other packages last; the same as `method_names()`."""

__all__ = [
    "METHODS",
    "NORMALIZATIONS",
    "Call",
    "CamLayer",
    "Method",
    "Options",
    "attribute",
    "attribute_all",
    "available_methods",
    "cam_layer",
    "candidate_layers",
    "cost_notes",
    "default_methods",
    "describe",
    "gallery_methods",
    "get_method",
    "method_family",
    "method_names",
    "method_title",
    "normalize_maps",
    "register",
    "unavailable_methods",
]


def __getattr__(name: str) -> Any:
    if name == "METHODS":  # looked up each time, since `register` may add one
        return method_names()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
