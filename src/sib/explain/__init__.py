"""Explanation methods behind one call: (model, images, targets) → (B, H, W), raw.

Nothing is loaded until it is used: torch with the first name that needs it, captum and torchcam
with the first method that does.
"""

from typing import TYPE_CHECKING, Any

from sib.utils.lazy import attach

if TYPE_CHECKING:
    from sib.explain.api import attribute as attribute
    from sib.explain.api import attribute_all as attribute_all
    from sib.explain.availability import available_methods as available_methods
    from sib.explain.availability import unavailable_methods as unavailable_methods
    from sib.explain.call import Call as Call
    from sib.explain.call import Options as Options
    from sib.explain.method import Method as Method
    from sib.explain.normalization import NORMALIZATIONS as NORMALIZATIONS
    from sib.explain.normalization import normalize_maps as normalize_maps
    from sib.explain.registry import cost_notes as cost_notes
    from sib.explain.registry import default_methods as default_methods
    from sib.explain.registry import gallery_methods as gallery_methods
    from sib.explain.registry import get_method as get_method
    from sib.explain.registry import method_family as method_family
    from sib.explain.registry import method_names as method_names
    from sib.explain.registry import method_title as method_title
    from sib.explain.registry import register as register
    from sib.models.layers import CamLayer as CamLayer
    from sib.models.layers import cam_layer as cam_layer
    from sib.models.layers import candidate_layers as candidate_layers
    from sib.models.layers import describe as describe

    METHODS: tuple[str, ...]
    """Names of all methods, those of other packages last; the same as `method_names()`."""

if not TYPE_CHECKING:  # a checker would take any name for one of these
    _get, _names, __all__ = attach(
        __name__,
        {
            "sib.explain.api": ["attribute", "attribute_all"],
            "sib.explain.availability": ["available_methods", "unavailable_methods"],
            "sib.explain.call": ["Call", "Options"],
            "sib.explain.method": ["Method"],
            "sib.explain.normalization": ["NORMALIZATIONS", "normalize_maps"],
            "sib.explain.registry": [
                "cost_notes",
                "default_methods",
                "gallery_methods",
                "get_method",
                "method_family",
                "method_names",
                "method_title",
                "register",
            ],
            "sib.models.layers": ["CamLayer", "cam_layer", "candidate_layers", "describe"],
        },
    )
    __all__ = [*__all__, "METHODS"]

    def __getattr__(name: str) -> Any:
        if name == "METHODS":  # looked up each time, since `register` may add one
            return _get("method_names")()
        return _get(name)

    def __dir__() -> list[str]:
        return sorted({*_names(), "METHODS"})
