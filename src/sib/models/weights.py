"""Weights from files, read without executing any code in them."""

import argparse
import errno
import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sib.utils.errors import InputError
from sib.utils.optional import import_optional

State = dict[str, Tensor]
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
"""Keys of the weights' running average."""
# Where training scripts put the weights among other things: torchvision's and timm's, Lightning.
NESTED = (
    *("state_dict", "model", "net", "model_state_dict", "model_state"),
    *("weights", "params", "network", "checkpoint"),
    *AVERAGES,  # where there are no others
    *("teacher", "student"),
)
DEEPEST = 3
"""Keys below which weights are looked for."""
FOREIGN = re.compile(r"GLOBAL ([A-Za-z_][\w.]{0,80})")
"""In torch's message, the first name in a pickle that is not allowed."""
POINTER = b"version https://git-lfs"


def read_weights(path: Path) -> tuple[State, dict[str, Any]]:
    """Tensors by their names in the file, and the facts that `sib` stored with them.

    Args:
        path: ``.safetensors``, or what ``torch.save`` wrote of a state dict, alone or under one of
            the usual keys. A Lightning checkpoint (``.ckpt``) is one of these.

    Returns:
        The weights and the facts. For files that `sib` did not write, the only fact is ``part``,
        in words, if they hold other weights too.

    Raises:
        InputError: the file cannot be read, holds other things than tensors and plain values, or
            holds no weights.
    """
    try:
        _check_pointer(path)
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        _check_begin(path)
        # timm's training script stores its options beside the weights, as a Namespace
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give a run folder or a file of weights") from None
    except OSError as error:
        if error.errno == errno.EINVAL:  # torch seeks the end of a zip that is cut off
            raise InputError(f"{path} is damaged and cannot be read: it is cut off") from None
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except pickle.UnpicklingError as error:
        raise InputError(_refused(path, str(error))) from None
    except InputError:
        raise
    except Exception as error:  # torch lets many kinds through from a damaged file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if (
            "weights_only" in reason
        ):  # torch's advice to run the file's code, which is not passed on
            reason = "it is not a state dict"
        raise InputError(f"{path} is damaged and cannot be read: {reason}") from None
    return _state_dict(content, path)


def _check_pointer(path: Path) -> None:
    """Raise InputError for what git leaves in place of a large file that was not fetched."""
    with open(path, "rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise InputError(
                f"{path} is a pointer of Git LFS in place of the weights: fetch them with git lfs "
                "pull"
            )


def _refused(path: Path, reason: str) -> str:
    """Why a pickle is refused, by the first name in it that is not allowed."""
    found = FOREIGN.search(reason)
    name = found[1] if found else ""
    if name.partition(".")[0] == "numpy":
        return (
            f"{path} is refused: it holds numbers or arrays of NumPy beside its tensors, which are "
            "not read from a file of weights; where it was written, save model.state_dict() alone, "
            "or turn the numbers into Python's with .item() and arrays into tensors with "
            "torch.from_numpy"
        )
    what = f"{name}, which is more than weights" if name else "more than weights"
    return (
        f"{path} is refused: it holds {what}, and loading it could run code of its author; save "
        "model.state_dict() with safetensors or torch.save"
    )


def _check_begin(path: Path) -> None:
    """Raise InputError unless a file begins as those of torch.save do, old or new."""
    with path.open("rb") as file:
        begin = file.read(64)
    if not begin:
        raise InputError(f"{path} is empty")
    if not begin.startswith((b"PK", b"\x80")):
        raise InputError(f"{path} is not a file of weights: neither safetensors nor of torch.save")
    if begin.startswith(b"PK") and _is_torchscript(path):
        raise InputError(
            f"{path} is TorchScript, which holds code; save model.state_dict() with safetensors or "
            "torch.save"
        )


def _is_torchscript(path: Path) -> bool:
    """Whether a zip file holds the constants of TorchScript; no where it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def _read_safetensors(path: Path) -> tuple[State, dict[str, Any]]:
    safetensors = import_optional("safetensors", "train")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("sib", "{}"))
            if not isinstance(facts, dict):
                raise ValueError("the facts in its header are not an object")
            facts.pop("part", None)
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged and cannot be read: {error}") from None
    for name, value in state.items():
        _check_values(name, value, path)
    return state, facts


def _check_values(name: str, value: Tensor, path: Path) -> None:
    """Raise InputError for a tensor whose values are not there, or mean nothing by themselves."""
    if value.layout is not torch.strided or value.is_meta:
        kind = "without values" if value.is_meta else "sparse"
        raise InputError(f"{path}: {name} is a tensor that is {kind}; save a dense one")
    if value.is_quantized or (value.is_floating_point() and value.dtype.itemsize == 1):
        kind = str(value.dtype).removeprefix("torch.")
        raise InputError(
            f"{path}: {name} holds {kind}, which needs scales that are kept elsewhere; save the "
            "weights in float32, float16 or bfloat16"
        )


def _state_dict(content: Any, path: Path) -> tuple[State, dict[str, Any]]:
    facts = {}
    for _ in range(DEEPEST):
        if not isinstance(content, dict):
            break
        inner = [key for key in NESTED if isinstance(content.get(key), dict) and content[key]]
        if not inner:
            alone = _unnamed(content, path)
            if alone is None:
                break
            facts["part"] = f"those under {alone!r}, the only ones in the file"
            content = content[alone]
            continue
        others = _others(content, inner[0], path)
        if others:
            facts["part"] = f"those under {inner[0]!r}; those under {others} are not used"
        content = content[inner[0]]
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path} holds no weights: a state dict, or one under {_or(NESTED)}")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise InputError(
                f"{path} holds no weights: {name!r} is a {type(value).__name__}, and a state dict "
                "holds tensors only"
            )
        _check_values(name, value, path)
    return {str(name): value for name, value in content.items()}, facts


def _unnamed(content: dict[Any, Any], path: Path) -> Any:
    """The only key of a dictionary under which there are weights; None if there is none.

    Raises:
        InputError: there are several.
    """
    found = [key for key, value in content.items() if _holds_weights(value)]
    if len(found) > 1:
        listed = " and ".join(map(repr, found))
        raise InputError(
            f"{path} holds the weights of several networks, under {listed}: save those of one alone"
        )
    return found[0] if found else None


def _holds_weights(value: Any) -> bool:
    """Whether a value is a dictionary of tensors, or has one under a usual key."""
    if not isinstance(value, dict) or not value:
        return False
    nested = any(isinstance(value.get(key), dict) and _holds_weights(value[key]) for key in NESTED)
    return nested or all(isinstance(each, Tensor) for each in value.values())


def _others(content: dict[Any, Any], taken: str, path: Path) -> str:
    """The other weights of one network beside those that are taken, in words.

    Raises:
        InputError: a student and a teacher that are different networks.
    """
    beside = [
        key for key in (*AVERAGES, "teacher", "student") if isinstance(content.get(key), dict)
    ]
    if (
        taken == "teacher"
        and "student" in beside
        and _shapes(content, "student") != _shapes(content, "teacher")
    ):
        raise InputError(
            f"{path} holds a student and a teacher that are different networks: save the weights "
            "of one of them alone"
        )
    return " and ".join(repr(key) for key in beside if key != taken and content[key])


def _shapes(content: dict[Any, Any], key: str) -> list[tuple[int, ...]]:
    """The shapes of the tensors under a key, whatever their names."""
    return sorted(tuple(v.shape) for v in content[key].values() if isinstance(v, Tensor))


def _or(names: tuple[str, ...]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}"
