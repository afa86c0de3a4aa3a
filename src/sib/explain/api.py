"""One call for every attribution method."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sib.explain import arguments, cams, guided
from sib.explain.availability import chosen_methods, layer_with_places
from sib.explain.call import Call, Options
from sib.explain.method import Method
from sib.explain.normalization import NORMALIZATIONS, normalize_maps
from sib.explain.registry import get_method
from sib.explain.state import device_of, gradients_enabled, logits_of
from sib.functional import checks
from sib.models.layers import CamLayer, Reshape
from sib.models.mode import evaluation_mode


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
    window: float = 0.25,
    stride: float = 0.125,
    n_masks: int = 1000,
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
    occlusion             mean over windows of z_t(x) − z_t(x without the window)   signed
    rise                  mean probability of t over the random masks that keep it  ≥ 0
    ====================  ========================================================  ======

    Class activation maps have the resolution of ``layer`` and are enlarged bilinearly. If an
    in-place operation follows the layer, A is its result. The last ReLU is part of their
    definition; torchcam's min-max scaling is off. The α of gradcam_pp is torchcam's: release 0.5.0
    uses (∂z_t/∂A)² without the paper's denominator. A layer whose map has only one place is
    refused, because its map is the same everywhere.

    Occlusion and RISE need no gradient, but many forward passes; `cost_notes` says how many. Other
    packages add methods with `register`.

    Maps are computed in evaluation mode and full precision, even inside ``torch.no_grad()``. The
    model's modes, hooks, gradients and flags, the images, and the state of the random number
    generators are not changed.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W), floating point, normalised as the model expects; moved to the
            model's device. Their memory format is kept.
        targets: (B,) classes, one class for all, or None for the predicted ones.
        method: one of `method_names`.
        normalize: ``"none"``, ``"max"``, ``"sum"`` or ``"percentile"``; see `normalize_maps`.
        layer: module or its name, for class activation maps; None for the architecture's own.
        reshape: output of ``layer`` → (B, C, h, w). Channels last and tokens are recognised
            without it.
        baseline: x′ of integrated gradients, occlusion and RISE: a number, or a tensor that
            broadcasts to the images. 0 is the mean colour of normalised images, not black.
        n_steps: number of points on the path of integrated gradients.
        n_samples: number of noisy copies for SmoothGrad.
        noise_level: σ of SmoothGrad as a share of each image's range, max − min; above 0.
        window: sides of occlusion's window as a share of the image's, in (0, 1].
        stride: step between windows as a share of the image's sides, at most ``window``.
        n_masks: number of random masks for RISE.
        seed: seed of SmoothGrad's noise and RISE's masks. These are the same for every image, so
            that a map does not depend on its neighbours in the batch.
        chunk_size: largest number of images in one pass of the methods that need several passes.

    Returns:
        (B, H, W), float32, on the model's device.

    Raises:
        ValueError: an argument is not allowed; ``guided_backprop`` on a model without
            nn.ReLU; a model whose CAM layer is unknown, where ``layer`` is not given; a CAM layer
            with one place.
        MissingLibraryError: the library of the method is not installed; also a ValueError.

    Source: Simonyan et al. 2014 (saliency); Shrikumar et al. 2016 (input × gradient);
        Sundararajan et al. 2017; Smilkov et al. 2017; Springenberg et al. 2015; Selvaraju et al.
        2017; Chattopadhay et al. 2018; Jiang et al. 2021; arXiv 2511.09239 (VJP); Zeiler and
        Fergus 2014 (occlusion); Petsiuk et al. 2018 (RISE).

    Example:
        >>> import sib, torch
        >>> model, images = sib.models.SmallResNet(3), torch.randn(2, 3, 32, 32)
        >>> sib.explain.attribute(model, images, method="saliency").shape
        torch.Size([2, 32, 32])
    """
    get_method(method)
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
        window=window,
        stride=stride,
        n_masks=n_masks,
        seed=seed,
        chunk_size=chunk_size,
    )
    return maps[method]


def attribute_all(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | Sequence[int] | int | None = None,
    methods: Sequence[str] | None = None,
    normalize: str = "none",
    *,
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
    baseline: float | Tensor = 0.0,
    n_steps: int = 32,
    n_samples: int = 16,
    noise_level: float = 0.15,
    window: float = 0.25,
    stride: float = 0.125,
    n_masks: int = 1000,
    seed: int = 0,
    chunk_size: int = 32,
) -> dict[str, Tensor]:
    """Compute several methods at once, sharing passes; each map is that of `attribute`.

    The predicted classes, saliency, input × gradient, the class activation maps and the VJP share
    one forward pass. Saliency and input × gradient also share one backward pass.

    Args:
        methods: names from `method_names`; None for `default_methods`. `available_methods` names
            those that a model can have. The other arguments are those of `attribute`.

    Returns:
        (B, H, W) maps by method, in the order of ``methods``.

    Raises:
        ValueError: as in `attribute`.

    Example:
        >>> import sib, torch
        >>> model, images = sib.models.SmallResNet(3), torch.randn(2, 3, 32, 32)
        >>> list(sib.explain.attribute_all(model, images, methods=["saliency", "vjp"]))
        ['saliency', 'vjp']
    """
    checks.image_batch("images", images)
    chosen = chosen_methods(methods)
    checks.choice("normalize", normalize, NORMALIZATIONS)
    options = Options(
        baseline=baseline,
        n_steps=n_steps,
        n_samples=n_samples,
        noise_level=noise_level,
        window=window,
        stride=stride,
        n_masks=n_masks,
        seed=seed,
        chunk_size=chunk_size,
    )
    options.check(images)
    device = device_of(model, images)
    with evaluation_mode(model), gradients_enabled(device):
        inputs = images.detach().to(device).clone().requires_grad_()
        if any(method.needs_relu for method in chosen):
            guided.check_has_relu(model)
        needs_layer = any(method.needs_layer for method in chosen)
        place = layer_with_places(model, inputs, layer, reshape) if needs_layer else None
        maps = _maps(model, inputs, targets, chosen, place, options)
    return {
        method.name: normalize_maps(maps[method.name].detach().float().contiguous(), normalize)
        for method in chosen
    }


def _maps(
    model: nn.Module,
    inputs: Tensor,
    targets: object,
    methods: Sequence[Method],
    place: CamLayer | None,
    options: Options,
) -> dict[str, Tensor]:
    """Maps by method. Methods that share a pass come first, so that its graph is freed early."""
    maps: dict[str, Tensor] = {}
    wanted = [method.name for method in methods if method.name in cams.CAMS]
    shared = [method for method in methods if method.shares_pass]
    differentiate = any(method.family != "perturbation" for method in methods)
    with cams.hooked(model, place, wanted) as extractors, torch.set_grad_enabled(differentiate):
        logits = logits_of(model, inputs)
        classes = arguments.resolve_targets(targets, logits)
        if differentiate and not logits.requires_grad:
            raise ValueError("model must give logits that are differentiable at the images")
        call = Call(model, inputs, classes, logits, options, place, extractors)
        for method in shared:
            maps[method.name] = _checked(method, call)
    call = Call(model, inputs, classes, logits.detach(), options, place)
    del logits
    for method in methods:
        if not method.shares_pass:
            maps[method.name] = _checked(method, call)
    return maps


def _checked(method: Method, call: Call) -> Tensor:
    """The maps that a method returns, checked.

    Raises:
        ValueError: it is not one map for each image.
    """
    maps = method(call)
    expected = (len(call.images), *call.images.shape[2:])
    if not isinstance(maps, Tensor) or maps.shape != expected:
        got = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ValueError(f"method {method.name} must give maps of shape {expected}; got {got}")
    return maps
