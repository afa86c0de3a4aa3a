"""Building a classifier from the name of its architecture."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sib.double_backward import check_model
from sib.models.catalogue import TIMM, check_known, import_timm, torchvision_models
from sib.models.mode import evaluation_mode
from sib.models.outputs import add_note, give_logits, in_words, logits_in
from sib.models.small import SmallResNet
from sib.models.start import Start, read_start
from sib.models.transfer import Taken, transfer
from sib.models.trial import doubts_about, fault_of
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, check_size, height_width, plain_size


def build(
    name: str,
    num_classes: int,
    image_size: ImageSize | None = None,
    weights: str | Path | None = None,
) -> nn.Module:
    """A classifier with random or given weights, ready to be differentiated twice.

    Args:
        name: a name from `architectures`, ``timm/NAME`` if timm is installed, or the user's own
            ``MODULE:FUNCTION``, which is called with the number of classes. The module is imported,
            also from the working directory, and so must be trusted.
        num_classes: K, outputs of the head; 1 for a single logit that tells two classes apart.
        image_size: side of the square images that it will see, or height and width. Default: that
            of the weights, or 224.
        weights: ``"pretrained"`` (the architecture's published ones), a file, or a run folder.
            Default: random. A head for another number of classes is random.

    Returns:
        A module (B, 3, H, W) → (B, K).

    Raises:
        InputError: an unknown name, no class, an image size that the architecture does
            not accept, a layer without a second derivative, or weights that are unavailable or
            belong to another architecture.

    Example:
        >>> import sib
        >>> model = sib.models.build("small_resnet", 10, image_size=48)
    """
    check_known(name)
    if weights is None:
        model = build_random(name, num_classes, 224 if image_size is None else image_size)
    else:
        start = read_start(weights, name, image_size)
        if image_size is None:
            image_size = start.image_size or 224
        model = build_from(start, name, num_classes, image_size)[0]
    try:
        check_model(model)
    except ValueError as error:
        raise InputError(f"arch {name}: {error}") from None
    return model


def build_from(
    start: Start,
    name: str,
    num_classes: int,
    image_size: ImageSize,
    classes: list[str] | None = None,
) -> tuple[nn.Module, Taken]:
    """A classifier that starts from weights, and the tensors that it took from them.

    Args:
        start: the weights.
        name: as in `build`.
        num_classes: K.
        image_size: side of the square images, or height and width.
        classes: (K,) names; a head trained for other classes is not taken.

    Raises:
        InputError: as in `build`.
    """
    model = build_random(name, num_classes, image_size)
    head = head_names(name, image_size)
    keep = classes is None or start.classes is None or classes == start.classes
    called = name if start.arch in (None, name) else f"{name} (it names {start.arch})"
    taken = transfer(model, start.state, head, start.source, called, keep_head=keep)
    _restart_head(model, taken.new)
    return model, taken


def _restart_head(model: nn.Module, new: list[str]) -> None:
    """Give a new linear head the usual random initialisation of nn.Linear.

    timm draws from ±1/√K. With few classes, the logits are then so large that the first steps
    destroy what the body has learned.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and f"{name}.weight" in new:
            module.reset_parameters()


def head_names(name: str, image_size: ImageSize) -> set[str]:
    """Names of the tensors whose shape, or presence, depends on the number of classes.

    The state of the random generator is not changed.
    """
    # shapes are enough, where building is known to read no value of a weight
    device = "cpu" if ":" in name or name.startswith(TIMM) else "meta"
    with torch.random.fork_rng(devices=[]), torch.device(device):
        states = [_construct(name, count, image_size).state_dict() for count in (2, 3)]
    two, three = ({key: value.shape for key, value in state.items()} for state in states)
    return {key for key in two | three if two.get(key) != three.get(key)}


def build_random(name: str, num_classes: int, image_size: ImageSize) -> nn.Module:
    """A classifier with random weights, which may not have a second derivative; see `build`."""
    if num_classes < 1:
        raise InputError(f"num_classes must be at least 1; got {num_classes}")
    image_size = check_size(image_size)
    model = _construct(name, num_classes, image_size)
    _start_head(model)
    _try(model, name, num_classes, image_size)
    return model


def _construct(name: str, num_classes: int, image_size: ImageSize) -> nn.Module:
    if name == "small_resnet":
        return SmallResNet(num_classes)
    if name.startswith(TIMM):
        return _from_timm(name.removeprefix(TIMM), num_classes, image_size)
    if ":" in name:
        return _from_module(name, num_classes)
    check_known(name)
    options: dict[str, Any] = {}
    if name.startswith("vit_"):
        if not isinstance(image_size, int):
            raise _refused_size(name, image_size, ValueError("it takes square images only"))
        options["image_size"] = image_size
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": True}
    try:
        model: nn.Module = torchvision_models().get_model(
            name, weights=None, num_classes=num_classes, **options
        )
        return model
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _refused_size(name, image_size, error) from None


def _from_timm(name: str, num_classes: int, image_size: ImageSize) -> nn.Module:
    check_known(TIMM + name)
    timm = import_timm()
    model: nn.Module
    try:
        try:
            model = timm.create_model(name, num_classes=num_classes, img_size=image_size)
        except TypeError:  # convolutional networks know no img_size
            model = timm.create_model(name, num_classes=num_classes)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _refused_size(TIMM + name, image_size, error) from None
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
    """Random weights for a head that starts at zero, such as that of torchvision's ViT.

    With a zero head the logits do not depend on the image, so the VJP vanishes and S-IB has no
    effect.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if linear and not linear[-1].weight.any():
        linear[-1].reset_parameters()


@torch.no_grad()
def _try(model: nn.Module, name: str, num_classes: int, image_size: ImageSize) -> None:
    """Pass two images through the model, so that a wrong image size is found before any data.

    From then on the model returns only its logits; see `give_logits`.
    """
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise InputError(
            f"arch {name} is TorchScript, whose layers cannot be observed; give the module that it "
            "was made from"
        )
    images = torch.zeros(2, 3, *height_width(image_size))
    images[1] = torch.linspace(-1, 1, images[1].numel()).view_as(images[1])
    with evaluation_mode(model):
        try:
            output = model(images)
        except (RuntimeError, ValueError, AssertionError) as error:
            raise _refused_size(name, image_size, error) from None
        except Exception as error:  # whatever the user's own code raises
            reason = f"{type(error).__name__}: {error}"
            raise InputError(f"arch {name} fails on its first images: {reason}") from error
        logits = logits_in(output)
        allowed = {(2, num_classes), *([(2, 1)] if num_classes == 2 else [])}
        if not isinstance(logits, torch.Tensor) or tuple(logits.shape) not in allowed:
            raise InputError(
                f"arch {name} must give logits (B, {num_classes}), alone, as .logits or "
                f'["logits"], or as the only (B, K) of a tuple; for 2 images it gives '
                f"{in_words(output)}"
            )
        is_own = ":" in name
        fault = fault_of(model, images) if is_own else None
        if fault is not None:
            raise InputError(f"arch {name}: {fault}")
        give_logits(model, images)
        doubts = doubts_about(model, images) if is_own else None
        if doubts is not None:
            add_note(model, doubts)


@torch.no_grad()
def count_logits(model: nn.Module, image_size: ImageSize) -> int:
    """How many logits a model gives."""
    parameter = next(model.parameters(), torch.zeros(()))
    images = torch.zeros(1, 3, *height_width(image_size), device=parameter.device)
    with evaluation_mode(model):
        return int(logits_in(model(images)).shape[1])


def _refused_size(name: str, image_size: ImageSize, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return InputError(f"arch {name} does not take image_size {plain_size(image_size)}: {reason}")
