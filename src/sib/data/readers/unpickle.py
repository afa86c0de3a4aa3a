"""Reads an untrusted pickle without running its code."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct

from sib.utils.errors import InputError

ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
}
"""All that a numpy array of numbers needs; a pickle can call nothing else."""


def read_pickle(path: Path) -> Any:
    """The numbers, byte strings, lists, dicts and numpy arrays of a pickle file.

    Strings that Python 2 wrote stay byte strings.

    Raises:
        InputError: the file is missing, damaged, or asks for anything else.
    """
    try:
        with path.open("rb") as file:
            return _Restricted(file, encoding="bytes").load()
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except InputError as error:
        raise InputError(f"{path} {error}") from None
    # a damaged pickle can raise anything from inside its opcodes
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is damaged: {reason}") from None


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise InputError(
                f"asks to run {module}.{name}; it must hold nothing but numbers, names and arrays"
            )
        return ALLOWED[module, name]
