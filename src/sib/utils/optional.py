"""Libraries that only a part of the package needs."""

from importlib import import_module
from typing import Any

from sib.utils.errors import InputError

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
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "submitit": "cluster",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
}
"""The extra of each module that ``pip install sib`` alone does not bring."""


class MissingLibraryError(InputError, ImportError):
    """A library that an optional part needs is not installed."""


def import_optional(module: str, extra: str) -> Any:
    """Import a module of a library that an extra of the package brings.

    Args:
        module: full name, as ``"captum.attr"``.
        extra: name of the extra, as ``"explain"``.

    Returns:
        The module.

    Raises:
        MissingLibraryError: the library is not installed; the sentence names the extra.
    """
    library = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != library:  # the library is there, but something that it needs is not
            raise
        raise MissingLibraryError(
            f'this needs {library}, which is not installed: pip install "sib[{extra}]"'
        ) from None


def missing_extra(user: str, error: ImportError) -> str | None:
    """The sentence that says which extra a missing module belongs to.

    Args:
        user: what needs it.
        error: of the import.

    Returns:
        The sentence, or None where the module belongs to no extra.
    """
    library = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(library)
    # another ImportError is of a package that is there, and must not be called missing
    if extra is None or not isinstance(error, ModuleNotFoundError):
        return None
    text = str(error)
    return text if "pip install" in text else f'{user} needs {library}: pip install "sib[{extra}]"'
