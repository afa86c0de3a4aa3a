"""One call for every attribution method."""

from collections.abc import Sequence

from torch import Tensor, nn

from sib.explain import arguments, cams, gradients, guided
from sib.explain.normalization import NORMALIZATIONS, normalize_maps
from sib.explain.state import (
    device_of,
    gradients_enabled,
    logits_of,
)
from sib.functional import checks
from sib.functional.decision import decision_vjp
from sib.models.layers import CamLayer, Reshape, cam_layer
from sib.models.mode import evaluation_mode

METHODS = (
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "smoothgrad",
    "guided_backprop",
    "gradcam",
    "gradcam_pp",
    "layercam",
    "vjp",
)
OF_THE_GRADIENT = ("saliency", "input_x_gradient")


def attribute(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | Sequence[int] | int | None = None,
    method: str = "gradcam",
    normalize: str = "none",
    *,
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
    baseline: float | Tensor = 0.0,
    n_steps: int = 32,
    n_samples: int = 16,
    noise_level: float = 0.15,
    seed: int = 0,
    chunk_size: int = 32,
) -> Tensor:
    """Where in the images a classifier's decision comes from.

    z_t is the target's logit, x the image with channels c, A the activations of ``layer``:

    ====================  ========================================================  ======
    method                map                                                       sign
    ====================  ========================================================  ======
    saliency              Σ_c |∂z_t/∂x|                                             ≥ 0
    input_x_gradient      Σ_c x ∂z_t/∂x                                             signed
    integrated_gradients  Σ_c (x − x′) ∫₀¹ ∂z_t/∂x (x′ + α(x − x′)) dα              signed
    smoothgrad            Σ_c |mean over noise of ∂z_t/∂x (x + σε)|                 ≥ 0
    guided_backprop       Σ_c |∂z_t/∂x, negative gradients stopped at each ReLU|    ≥ 0
    gradcam               ReLU Σ_k A_k mean_ij ∂z_t/∂A_kij                          ≥ 0
    gradcam_pp            ReLU Σ_k A_k Σ_ij α_kij ReLU(∂z_t/∂A_kij)                 ≥ 0
    layercam              ReLU Σ_k A_k ReLU(∂z_t/∂A_k)                              ≥ 0
    vjp                   Σ_c |∂/∂x ½ Σ_k p_k²| up to each image's scale; no target ≥ 0
    ====================  ========================================================  ======

    Class activation maps have the resolution of ``layer`` and are enlarged bilinearly; where an
    in-place operation follows the layer, A is what it leaves. Their last ReLU is part of their
    definition; torchcam's min-max scaling is off. The α of gradcam_pp is torchcam's: release
    0.5.0 takes (∂z_t/∂A)² without the paper's denominator.

    Computed in evaluation mode and full precision, also inside ``torch.no_grad()``. The model's
    modes, hooks, gradients and flags, the images and the random numbers are left as they were.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W), floating point, normalised as the model expects; moved to the
            model's device. Their memory format is kept.
        targets: (B,) classes, one class for all, or None for the predicted ones.
        method: one of `METHODS`.
        normalize: ``"none"``, ``"max"``, ``"sum"`` or ``"percentile"``; see `normalize_maps`.
        layer: module or its name, for class activation maps; None for the architecture's own.
        reshape: output of ``layer`` → (B, C, h, w), where it is no feature map.
        baseline: x′ of integrated gradients, a number or what broadcasts to the images. 0 is
            the mean colour of normalised images, not black.
        n_steps: points on the path of integrated gradients.
        n_samples: noisy copies for SmoothGrad.
        noise_level: σ of SmoothGrad as a share of each image's range, max − min; above 0.
        seed: of SmoothGrad's noise, the same for every image, so that a map does not depend on
            its neighbours in the batch.
        chunk_size: most images in one pass of integrated gradients and SmoothGrad.

    Returns:
        (B, H, W), float32, on the model's device.

    Raises:
        ValueError: an argument that is not allowed; ``guided_backprop`` on a model without
            nn.ReLU; a model whose CAM layer is unknown, where ``layer`` is not given.

    Source: Simonyan et al. 2014 (saliency); Shrikumar et al. 2016 (input × gradient);
        Sundararajan et al. 2017; Smilkov et al. 2017; Springenberg et al. 2015; Selvaraju et al.
        2017; Chattopadhay et al. 2018; Jiang et al. 2021; arXiv 2511.09239 (VJP).
    """
    checks.choice("method", method, METHODS)
    maps = attribute_all(
        model,
        images,
        targets,
        (method,),
        normalize,
        layer=layer,
        reshape=reshape,
        baseline=baseline,
        n_steps=n_steps,
        n_samples=n_samples,
        noise_level=noise_level,
        seed=seed,
        chunk_size=chunk_size,
    )
    return maps[method]


def attribute_all(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | Sequence[int] | int | None = None,
    methods: Sequence[str] = METHODS,
    normalize: str = "none",
    *,
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
    baseline: float | Tensor = 0.0,
    n_steps: int = 32,
    n_samples: int = 16,
    noise_level: float = 0.15,
    seed: int = 0,
    chunk_size: int = 32,
) -> dict[str, Tensor]:
    """Several methods at once: `attribute` of each, from shared passes.

    The predicted classes, saliency, input × gradient, the class activation maps and the VJP take
    one forward pass together; saliency and input × gradient one backward pass.

    Args:
        methods: names from `METHODS`; `available_methods` tells which a model can have. The other
            arguments are those of `attribute`.

    Returns:
        (B, H, W) maps by method, in the order of ``methods``.

    Raises:
        ValueError: as `attribute`.
    """
    checks.image_batch("images", images)
    arguments.names("methods", methods, METHODS)
    checks.choice("normalize", normalize, NORMALIZATIONS)
    for name, value in (("n_steps", n_steps), ("n_samples", n_samples), ("chunk_size", chunk_size)):
        checks.whole_number(name, value)
    checks.whole_number("seed", seed, smallest=0)
    checks.positive("noise_level", noise_level)
    arguments.broadcastable("baseline", baseline, images)
    device = device_of(model, images)
    with evaluation_mode(model), gradients_enabled(device):
        inputs = images.detach().to(device).clone().requires_grad_()
        if "guided_backprop" in methods:
            guided.check_has_relu(model)
        needs_layer = any(method in cams.CAMS for method in methods)
        place = cam_layer(model, inputs.detach(), layer, reshape) if needs_layer else None
        maps, targets = _share_a_pass(model, inputs, targets, methods, place)
        if "integrated_gradients" in methods:
            path = gradients.integrated_gradients(
                model, inputs, targets, baseline, n_steps, chunk_size
            )
            maps["integrated_gradients"] = path.sum(dim=1)
        if "smoothgrad" in methods:
            noisy = gradients.smoothgrad(
                model, inputs, targets, n_samples, noise_level, seed, chunk_size
            )
            maps["smoothgrad"] = noisy.abs().sum(dim=1)
        if "guided_backprop" in methods:
            rectified = guided.guided_backprop(model, inputs, targets)
            maps["guided_backprop"] = rectified.abs().sum(dim=1)
    return {
        method: normalize_maps(maps[method].detach().float().contiguous(), normalize)
        for method in methods
    }


def available_methods(model: nn.Module, images: Tensor) -> list[str]:
    """The methods that a model can have without further arguments.

    Guided backpropagation needs nn.ReLU modules, class activation maps a known layer.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes.
    """
    unavailable: set[str] = set()
    try:
        guided.check_has_relu(model)
    except ValueError:
        unavailable.add("guided_backprop")
    try:
        cam_layer(model, images.to(device_of(model, images)))
    except ValueError:
        unavailable.update(cams.CAMS)
    return [method for method in METHODS if method not in unavailable]


def _share_a_pass(
    model: nn.Module,
    inputs: Tensor,
    targets: object,
    methods: Sequence[str],
    place: CamLayer | None,
) -> tuple[dict[str, Tensor], Tensor]:
    """The maps that one forward pass gives, and the classes that were explained."""
    maps: dict[str, Tensor] = {}
    if place is None:
        logits = logits_of(model, inputs)
        chosen = arguments.resolve_targets(targets, logits)
    else:
        wanted = [method for method in methods if method in cams.CAMS]
        with cams.hooked(model, place, wanted) as extractors:
            logits = logits_of(model, inputs)
            chosen = arguments.resolve_targets(targets, logits)
            size = (inputs.shape[2], inputs.shape[3])
            for method in wanted:
                maps[method] = cams.cam(extractors[method], place, logits, chosen, size)
    if not logits.requires_grad:
        raise ValueError("model must give logits that are differentiable at the images")
    if "vjp" in methods:
        R = decision_vjp(logits, inputs, retain_graph=True)
        maps["vjp"] = R.abs().sum(dim=1)
    if any(method in OF_THE_GRADIENT for method in methods):
        gradient = gradients.input_gradient(logits, inputs, chosen)
        maps["saliency"] = gradient.abs().sum(dim=1)
        maps["input_x_gradient"] = (inputs * gradient).sum(dim=1)
    return maps, chosen
