"""Weights from files, read without running any code of theirs."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sib.runs.archive import archive_of, archived_study
from sib.utils.errors import InputError

State = dict[str, Tensor]
# Where training scripts put the weights among other things, and what wrappers put before names.
NESTED = ("state_dict", "model", "model_state_dict", "model_state")
PREFIXES = ("module.", "_orig_mod.")


def read_weights(path: Path) -> tuple[State, dict[str, Any]]:
    """Tensors by name, and the facts that `sib train` wrote beside them.

    Args:
        path: ``.safetensors``, or what ``torch.save`` wrote of a state dict, alone or under one of
            the usual keys. Prefixes of wrappers (DDP, compile) are taken off.

    Returns:
        The weights, and the facts; no facts for files of others.

    Raises:
        InputError: the file cannot be read, holds other things than tensors and plain values, or
            no weights.
    """
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        content = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        if study := archived_study(path):
            raise InputError(f"{archive_of(study)} holds {path} without its weights") from None
        raise InputError(f"{path} does not exist; give a run folder or a file of weights") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except pickle.UnpicklingError:
        raise InputError(
            f"{path} is refused: it is no file of weights alone, and loading it could run code of "
            "its author; save model.state_dict() with safetensors or torch.save"
        ) from None
    except Exception as error:  # torch lets many kinds through from a damaged file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} is damaged and cannot be read: {reason}") from None
    return _state_dict(content, path), {}


def load_into(model: nn.Module, state: State, path: Path, name: str) -> None:
    """Put weights into a model.

    Raises:
        InputError: they are of another architecture or number of classes.
    """
    own = model.state_dict()
    wrong = [
        f"{key} has shape {tuple(state[key].shape)} in place of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    lacking = [f"there is no {key}" for key in own if key not in state]
    foreign = [f"{key} is not part of it" for key in state if key not in own]
    problems = wrong + lacking + foreign
    if problems:
        more = f" (and {len(problems) - 1} more differences)" if len(problems) > 1 else ""
        raise InputError(f"{path} does not fit {name}: {problems[0]}{more}")
    model.load_state_dict(state)


def _read_safetensors(path: Path) -> tuple[State, dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("sib", "{}"))
            if not isinstance(facts, dict):
                raise ValueError("what its header says of it is no object")
            return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{path} is damaged and cannot be read: {error}") from None


def _state_dict(content: Any, path: Path) -> State:
    for key in NESTED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path} holds no weights: a state dict, or one under {_or(NESTED)}")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise InputError(
                f"{path} holds no weights: {name!r} is a {type(value).__name__}, and a state dict "
                "holds tensors only"
            )
    return {_bare(str(name)): value for name, value in content.items()}


def _bare(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _or(names: tuple[str, ...]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}"
