"""Class activation maps, by torchcam."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchcam.methods import GradCAM, GradCAMpp, LayerCAM

from sib.models.layers import CamLayer

CAMS: dict[str, type] = {"gradcam": GradCAM, "gradcam_pp": GradCAMpp, "layercam": LayerCAM}


@contextmanager
def hooked(model: nn.Module, layer: CamLayer, methods: list[str]) -> Iterator[dict[str, Any]]:
    """Extractors by method, all fed by the forward passes inside the context."""
    reshape = _checked(layer)
    with ExitStack() as stack:
        yield {
            method: stack.enter_context(
                CAMS[method](model, layer.module, reshape_transform=reshape)
            )
            for method in methods
        }


def cam(
    extractor: Any, layer: CamLayer, logits: Tensor, targets: Tensor, size: tuple[int, int]
) -> Tensor:
    """One map per image, after torchcam's ReLU and before any normalisation.

    Args:
        extractor: from `hooked`, after the forward pass that gave ``logits``.
        layer: the layer that it hooks.
        logits: (B, K); their graph is kept.
        targets: (B,).
        size: (H, W) to which the map is enlarged, bilinearly, corners not aligned.

    Returns:
        (B, H, W).

    Raises:
        ValueError: the logits do not depend on the layer.
    """
    if extractor.hook_a[0] is None:
        raise ValueError(f"layer {layer.name} takes no part in the forward pass")
    try:
        (coarse,) = extractor(targets.tolist(), logits, normalized=False, retain_graph=True)
    except RuntimeError as error:
        if "not connected" not in str(error):
            raise
        raise ValueError(f"layer {layer.name} has no influence on the logits") from None
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
                f"layer {layer.name} must give a feature map (B, C, h, w), not {got}: give layer= "
                "another one, or reshape= a function that makes a feature map of its output"
            )
        return shaped

    return to_map
