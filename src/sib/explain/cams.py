"""Class activation maps, computed by torchcam."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from sib.explain.call import Call
from sib.models.axes import ADVICE
from sib.models.layers import CamLayer
from sib.utils.optional import import_optional

CAMS = {"gradcam": "GradCAM", "gradcam_pp": "GradCAMpp", "layercam": "LayerCAM"}
"""torchcam's classes."""


def gradcam(call: Call) -> Tensor:
    """ReLU Σ_k A_k mean_ij ∂z_t/∂A_kij (B, H, W), ≥ 0, with A the activations of the layer.

    Source: Selvaraju et al. 2017.
    """
    return _cam(call, "gradcam")


def gradcam_pp(call: Call) -> Tensor:
    """ReLU Σ_k A_k Σ_ij α_kij ReLU(∂z_t/∂A_kij) (B, H, W), ≥ 0, α = (∂z_t/∂A)² as in torchcam.

    Source: Chattopadhay et al. 2018.
    """
    return _cam(call, "gradcam_pp")


def layercam(call: Call) -> Tensor:
    """ReLU Σ_k A_k ReLU(∂z_t/∂A_k) (B, H, W), ≥ 0.

    Source: Jiang et al. 2021.
    """
    return _cam(call, "layercam")


@contextmanager
def hooked(
    model: nn.Module, layer: CamLayer | None, methods: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """torchcam's extractors by method; all record the forward passes inside the context."""
    with ExitStack() as stack:
        extractors = {}
        for method in methods:
            assert layer is not None
            reshape = _checked(layer)
            kind = getattr(import_optional("torchcam.methods", "explain"), CAMS[method])
            extractor = kind(model, layer.module, reshape_transform=reshape)
            extractors[method] = stack.enter_context(extractor)
        yield extractors


def _cam(call: Call, method: str) -> Tensor:
    """One map per image, after torchcam's ReLU and before any normalisation, enlarged bilinearly.

    Raises:
        ValueError: the logits do not depend on the layer.
    """
    layer, extractor = call.layer, call.extractors[method]
    assert layer is not None
    if extractor.hook_a[0] is None:
        raise ValueError(f"layer {layer.name} takes no part in the forward pass")
    try:
        (coarse,) = extractor(
            call.targets.tolist(), call.logits, normalized=False, retain_graph=True
        )
    except RuntimeError as error:
        if "not connected" not in str(error):
            raise
        raise ValueError(f"layer {layer.name} has no influence on the logits") from None
    size = (call.images.shape[2], call.images.shape[3])
    enlarged = F.interpolate(
        coarse.float().unsqueeze(1), size, mode="bilinear", align_corners=False
    )
    return enlarged.squeeze(1)


def _checked(layer: CamLayer) -> Callable[[Tensor], Tensor]:
    def to_map(output: Tensor) -> Tensor:
        shaped = output if layer.reshape is None else layer.reshape(output)
        if not isinstance(shaped, Tensor) or shaped.ndim != 4:
            got = tuple(shaped.shape) if isinstance(shaped, Tensor) else type(shaped).__name__
            raise ValueError(
                f"layer {layer.name} must give a feature map (B, C, h, w), not {got}: {ADVICE}"
            )
        return shaped

    return to_map
