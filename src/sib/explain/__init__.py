"""Attribution methods behind one call: (model, images, targets) → (B, H, W), raw."""

from sib.explain.api import METHODS, attribute, attribute_all, available_methods
from sib.explain.normalization import NORMALIZATIONS, normalize_maps
from sib.models.layers import CamLayer, cam_layer, candidate_layers

__all__ = [
    "METHODS",
    "NORMALIZATIONS",
    "CamLayer",
    "attribute",
    "attribute_all",
    "available_methods",
    "cam_layer",
    "candidate_layers",
    "normalize_maps",
]
