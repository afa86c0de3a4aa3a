"""Building a classifier from the name of its architecture."""

import difflib
import sys
from importlib import import_module
from typing import Any

import torch
from torch import nn

from sib.double_backward import check_model
from sib.models.small import SmallResNet
from sib.utils.errors import InputError
from sib.utils.optional import import_optional

TIMM = "timm/"


def architectures() -> list[str]:
    """Names that `build` takes, besides ``timm/NAME``: torchvision's classifiers and our own."""
    zoo = _torchvision_models()
    return ["small_resnet", *zoo.list_models(module=zoo)]


def build(name: str, num_classes: int, image_size: int = 224) -> nn.Module:
    """A classifier with random weights, ready to be differentiated twice.

    Args:
        name: a name from `architectures`, ``timm/NAME`` where timm is installed, or
            ``MODULE:FUNCTION`` of the user's own, called with the number of classes. The module is
            imported, from the working folder too, and so must be trusted.
        num_classes: K, outputs of the head.
        image_size: side of the square images that it will see.

    Returns:
        A module (B, 3, image_size, image_size) → (B, K).

    Raises:
        InputError: an unknown name, fewer than 2 classes, or an image size that the architecture
            does not take.
    """
    if num_classes < 2:
        raise InputError(f"num_classes must be at least 2; got {num_classes}")
    if image_size < 1:
        raise InputError(f"image_size must be at least 1; got {image_size}")
    model = _construct(name, num_classes, image_size)
    _start_head(model)
    _try(model, name, num_classes, image_size)
    check_model(model)
    return model


def _construct(name: str, num_classes: int, image_size: int) -> nn.Module:
    if name == "small_resnet":
        return SmallResNet(num_classes)
    if name.startswith(TIMM):
        return _from_timm(name.removeprefix(TIMM), num_classes, image_size)
    if ":" in name:
        return _from_module(name, num_classes)
    if name not in architectures():
        raise InputError(_unknown(name))
    options: dict[str, Any] = {}
    if name.startswith("vit_"):
        options["image_size"] = image_size
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": True}
    try:
        model: nn.Module = _torchvision_models().get_model(
            name, weights=None, num_classes=num_classes, **options
        )
        return model
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _refused_size(name, image_size, error) from None


def _torchvision_models() -> Any:
    return import_optional("torchvision.models", "train")


def _from_timm(name: str, num_classes: int, image_size: int) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise InputError("arch timm/… needs the timm package: pip install 'sib[timm]'") from None
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise InputError(f"arch: timm has no model {name!r}{_perhaps(close, TIMM)}")
    try:
        model = timm.create_model(name, num_classes=num_classes, img_size=image_size)
    except TypeError:  # convolutional networks know no img_size
        model = timm.create_model(name, num_classes=num_classes)
    return model


def _from_module(name: str, num_classes: int) -> nn.Module:
    module_name, _, function = name.partition(":")
    sys.path.insert(0, "")  # the working folder, as python -m has it
    try:
        model = getattr(import_module(module_name), function)(num_classes)
    except Exception as error:  # whatever the user's own code raises
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"arch {name} cannot be made: {reason}") from error
    finally:
        sys.path.remove("")
    if not isinstance(model, nn.Module):
        raise InputError(f"arch {name} gives a {type(model).__name__} in place of an nn.Module")
    return model


def _start_head(model: nn.Module) -> None:
    """Random weights for a head that starts at zero, as torchvision's ViT has.

    At a zero head the logits do not depend on the image: the VJP, and with it S-IB, vanish.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if linear and not linear[-1].weight.any():
        linear[-1].reset_parameters()


@torch.no_grad()
def _try(model: nn.Module, name: str, num_classes: int, image_size: int) -> None:
    """One image through the model, so that a size it does not take is known before any data."""
    training = model.training
    model.eval()
    try:
        logits = model(torch.zeros(1, 3, image_size, image_size))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _refused_size(name, image_size, error) from None
    finally:
        model.train(training)
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, num_classes):
        raise InputError(f"arch {name} is no classifier: it does not give (B, {num_classes})")


def _refused_size(name: str, image_size: int, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return InputError(f"arch {name} does not take image_size {image_size}: {reason}")


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, architectures(), n=3)
    return (
        f"arch {name!r} is unknown{_perhaps(close)}; allowed are small_resnet, torchvision's "
        "classifiers (resnet18, resnet50, densenet121, vit_b_32, …), timm/NAME and MODULE:FUNCTION"
    )


def _perhaps(close: list[str], prefix: str = "") -> str:
    return f", perhaps {' or '.join(prefix + name for name in close)}" if close else ""
