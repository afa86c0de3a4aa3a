"""Means of values that not every place has."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def ratio(sums: NDArray[np.float64], counts: NDArray[Any]) -> NDArray[np.float64]:
    """Sums divided by counts; NaN where nothing was counted."""
    found: NDArray[np.float64] = np.divide(
        sums, counts, out=np.full(np.shape(sums), np.nan), where=counts > 0
    )
    return found
