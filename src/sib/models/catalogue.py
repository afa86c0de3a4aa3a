"""Names of architectures."""

from types import ModuleType
from typing import Any

from sib.utils.errors import InputError
from sib.utils.nearest import perhaps
from sib.utils.optional import import_optional

TIMM = "timm/"


def torchvision_models() -> Any:
    """torchvision's models, which the extra ``train`` installs."""
    return import_optional("torchvision.models", "train")


def architectures() -> list[str]:
    """Names that `build` accepts besides ``timm/NAME``: torchvision's classifiers and our own.

    Example:
        >>> import sib
        >>> "resnet50" in sib.models.architectures()
        True
    """
    return ["small_resnet", *torchvision_models().list_models(module=torchvision_models())]


def check_known(name: str) -> None:
    """Raise InputError unless an architecture has this name; functions of users are not called."""
    if name.startswith(TIMM):
        timm, short = import_timm(), name.removeprefix(TIMM)
        if not timm.is_model(short):
            meant = perhaps(short, timm.list_models(), TIMM, count=3)
            raise InputError(f"arch: timm has no model {short!r}{meant}")
    elif ":" not in name and name not in architectures():
        meant = perhaps(name, architectures(), count=3)
        raise InputError(
            f"arch {name!r} is unknown{meant}; allowed are small_resnet, torchvision's "
            "classifiers (resnet18, resnet50, densenet121, vit_b_32, …), timm/NAME and "
            "MODULE:FUNCTION"
        )


def import_timm() -> ModuleType:
    """The timm package.

    Raises:
        InputError: it is not installed.
    """
    try:
        import timm
    except ImportError:
        raise InputError("arch timm/… needs the timm package: pip install 'sib[timm]'") from None
    return timm
