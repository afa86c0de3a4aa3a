"""How far a map exceeds that of the same network with random parameters."""

from typing import Unpack

from torch import Tensor, nn

from sib.explain import attribute
from sib.explain.arguments import Targets
from sib.explain.call import AttributeOptions
from sib.explain.state import device_of
from sib.functional import checks
from sib.metrics.arguments import check_maps_of
from sib.metrics.chance import chance_corrected
from sib.metrics.localisation import foreground_energy
from sib.metrics.randomisation import randomised_copy


def energy_gain_over_untrained(
    model: nn.Module,
    images: Tensor,
    attribution: Tensor,
    targets: Targets,
    foreground: Tensor,
    method: str = "gradcam",
    *,
    seed: int = 0,
    **options: Unpack[AttributeOptions],
) -> Tensor:
    """Gain in energy on the object over the maps of a network with random parameters.

    (e − c) / (1 − c), with e the `foreground_energy` of the map, and c that of the map which the
    same method gives for the same image and class and a `randomised_copy` of the model. At most 1,
    larger is better. It is 0 for a map that an untrained network has too, such as one that follows
    edges.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        attribution: (B, H, W), maps of ``method`` for ``model``.
        targets: the classes that the maps explain, (B,) or one for all.
        foreground: (B, H, W), bool.
        method: one of `sib.explain.METHODS`.
        seed: seed of the random parameters.
        options: further options of `sib.explain.attribute` that the maps were made with.

    Returns:
        (B,), NaN for an image without foreground, or where either map has no positive attribution
        or c = 1.

    Raises:
        ValueError: an argument is not allowed.

    Source: Wang et al. 2020 for the energy; Adebayo et al. 2018 for the random parameters.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images, foreground = torch.randn(2, 3, 4, 4), torch.eye(4).bool().expand(2, 4, 4)
        >>> perfect = foreground.float()
        >>> sib.metrics.energy_gain_over_untrained(
        ...     model, images, perfect, [0, 1], foreground, "saliency"
        ... ).tolist()
        [1.0, 1.0]
    """
    check_maps_of(images, attribution)
    checks.whole_number("seed", seed, smallest=0)
    if targets is None:
        raise ValueError("targets must be the classes that the maps explain; got None")
    energy = foreground_energy(attribution, foreground)
    twin = randomised_copy(model, seed)
    random = attribute(twin, images.to(device_of(model, images)), targets, method, **options)
    chance = foreground_energy(random, foreground.to(random.device))
    return chance_corrected(energy.to(chance.device), chance)
