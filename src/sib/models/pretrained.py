"""The published weights of an architecture in torchvision or timm, and their preprocessing."""

import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urlparse

import torch

from sib.models.catalogue import TIMM, import_timm, torchvision_models
from sib.models.weights import State, read_weights
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize
from sib.utils.resize import INTERPOLATIONS, Resize, ResizeRule

INPUT_IN_MODEL = ("googlenet", "inception_v3")
"""torchvision's published versions turn ImageNet's statistics into 0.5/0.5 inside the model; the
weights themselves expect 0.5/0.5, which is what they get here."""


TIMM_RULES = {"center": "crop", "squash": "squash"}
"""timm's crop modes as resize rules; its third one, border, pads with the images' mean."""


class Facts(NamedTuple):
    """What an architecture's configuration says about its images."""

    normalization: dict[str, Any]
    """``mean`` and ``std`` of the three channels, on images in [0, 1]."""
    image_size: int
    resize: Resize | None
    """How they are brought to that size; None for a rule that `sib` does not have."""
    classes: list[str] | None
    """(K,) names of their classes."""


def published_facts(name: str) -> Facts | None:
    """What torchvision or timm specify about an architecture's images; None if nothing.

    torchvision specifies it for published weights, timm for all its architectures.

    Args:
        name: as `build` takes it.
    """
    if name.startswith(TIMM):
        return _timm_facts(name.removeprefix(TIMM))
    weights = _torchvision_weights(name)
    if weights is None:
        return None
    transform = weights.transforms()
    size, resized = transform.crop_size[0], transform.resize_size[0]
    half = {"mean": [0.5] * 3, "std": [0.5] * 3}
    own = {"mean": list(transform.mean), "std": list(transform.std)}
    return Facts(
        half if name in INPUT_IN_MODEL else own,
        size,
        _rule("crop", size / resized, transform.interpolation.value),
        list(weights.meta["categories"]),
    )


def published_weights(name: str, image_size: ImageSize) -> tuple[State, str]:
    """The published weights of an architecture, from the local cache or the network.

    torchvision's are in ``$TORCH_HOME/hub/checkpoints``, timm's in the cache of Hugging Face.

    Args:
        name: as `build` takes it.
        image_size: side of the square images; timm fits position embeddings to it.

    Returns:
        The weights, and their file in words.

    Raises:
        InputError: the architecture has none, or they are unavailable.
    """
    if name.startswith(TIMM):
        return _timm_state(name.removeprefix(TIMM), image_size)
    weights = _torchvision_weights(name)
    if weights is None:
        raise InputError(
            f"--weights pretrained: {name} has no published weights; give a file or a run folder"
        )
    path = _cached(weights.url)
    state, _ = read_weights(path)
    # DenseNet's are from before module names could not contain dots
    pattern = r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)"
    return {re.sub(pattern, r"\1\2", key): value for key, value in state.items()}, path.name


def _torchvision_weights(name: str) -> Any:
    if name not in torchvision_models().list_models(module=torchvision_models()):
        return None
    return torchvision_models().get_model_weights(name).DEFAULT


def _cached(url: str) -> Path:
    """The file of a URL in torch's cache, downloaded and checked by its name's hash if absent."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / Path(urlparse(url).path).name
    if path.exists():
        return path
    found = re.search(r"-([a-f0-9]{8,})\.", path.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), found and found[1], progress=False)
    except (URLError, OSError, RuntimeError) as error:  # RuntimeError: another hash
        reason = getattr(error, "reason", None) or error
        raise InputError(
            f"--weights pretrained: {path.name} cannot be downloaded ({reason}); get it from {url} "
            f"and put it into {folder}"
        ) from None
    return path


def _timm_facts(name: str) -> Facts | None:
    config = import_timm().get_pretrained_cfg(name)
    if config is None or config.mean is None or config.std is None:
        return None
    return Facts(
        {"mean": list(config.mean), "std": list(config.std)},
        config.input_size[-1],
        _rule(TIMM_RULES.get(config.crop_mode), config.crop_pct, config.interpolation),
        None,
    )


def _rule(kind: str | None, share: float, interpolation: str) -> Resize | None:
    """A resize rule as files hold it."""
    if kind is None or interpolation not in INTERPOLATIONS:
        return None
    return str(ResizeRule(kind, None if kind == "squash" and share == 1 else share, interpolation))


def _timm_state(name: str, image_size: ImageSize) -> tuple[State, str]:
    timm = import_timm()
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise InputError(
            f"--weights pretrained: timm/{name} has no published weights; give a file or a run "
            "folder"
        )
    file = config.hf_hub_id or config.url
    try:
        try:
            model = timm.create_model(name, pretrained=True, img_size=image_size)
        except TypeError:  # convolutional networks know no img_size
            model = timm.create_model(name, pretrained=True)
    except Exception as error:  # of the network, the hub's client and the file, of many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"--weights pretrained: the weights of timm/{name} cannot be had ({reason}); get "
            f"{_where(config)} on another machine and give it as --weights FILE"
        ) from None
    return model.state_dict(), str(file)


def _where(config: Any) -> str:
    if config.hf_hub_id:
        file = config.hf_hub_filename or "model.safetensors"
        return f"{file} of https://huggingface.co/{config.hf_hub_id}"
    return str(config.url)
