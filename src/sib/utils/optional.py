"""Packages that only a part of the work needs, and the extra that installs each of them."""

from importlib import import_module
from types import ModuleType

EXTRAS = {
    "PIL": "train",
    "defusedxml": "train",
    "rich": "train",
    "safetensors": "train",
    "scipy": "train",
    "sklearn": "train",
    "torchvision": "train",
    "tyro": "train",
    "yaml": "train",
    "captum": "explain",
    "torchcam": "explain",
    "torchmetrics": "explain",
    "jinja2": "report",
    "matplotlib": "report",
    "timm": "timm",
}
"""The extra of each module that ``pip install sib`` alone does not bring."""


INSTALL = 'pip install "sib['


def import_optional(module: str, extra: str) -> ModuleType:
    """Import a module that an extra of sib installs.

    Args:
        module: its full name, such as ``"captum.attr"``.
        extra: that installs it, such as ``"explain"``.

    Returns:
        The module.

    Raises:
        ImportError: it is not installed; the message gives the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.partition(".")[0] != module.partition(".")[0]:
            raise  # the module is there, and lacks a package of its own
        raise ImportError(_sentence(module, module, extra), name=missing) from None


def missing_extra(user: str, error: ImportError) -> str | None:
    """The sentence that says which extra a missing module belongs to.

    Args:
        user: what needs it.
        error: of the import.

    Returns:
        The sentence, or None where the module belongs to no extra.
    """
    package = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    if extra is None:
        return None
    if INSTALL in str(error):
        return str(error)
    # another ImportError is of a package that is there, and must not be called missing
    return _sentence(user, package, extra) if isinstance(error, ModuleNotFoundError) else None


def _sentence(user: str, module: str, extra: str) -> str:
    needs = f"{user} is not installed" if user == module else f"{user} needs {module}"
    return f'{needs}: {INSTALL}{extra}]"'
