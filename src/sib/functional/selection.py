"""Order statistics without a full sort."""

import torch
from torch import Tensor

# Shorter rows are sorted completely, which is as fast.
SHORTEST = 20000
# Every STRIDE-th value is in the sample. A prime, so that the sample does not fall into a few
# columns of an image, whose borders differ from its middle.
STRIDE = 17
# The bracket around a rank reaches this many standard deviations of the sample's rank.
DEVIATIONS = 4.0


@torch.no_grad()
def order_statistic_indices(rows: Tensor, windows: list[tuple[int, int]]) -> list[Tensor]:
    """The indices of the values of given ranks in each row.

    On a CPU a sorted sample gives two values that enclose the requested ranks (Floyd & Rivest
    1975), and only the values between them are sorted. Whole rows are sorted on other devices, and
    where the two values turn out not to enclose the ranks, as happens with many equal values.

    Args:
        rows: (B, n).
        windows: pairs (first, last) of ranks, both included, 0 ≤ first ≤ last < n.

    Returns:
        For each window the indices (B, last − first + 1), in order of increasing value.
    """
    n = rows.shape[-1]
    if rows.device.type == "cpu" and SHORTEST <= n < 2**24 and not torch.compiler.is_compiling():
        sample = rows[:, ::STRIDE].clone(memory_format=torch.contiguous_format)
        sample.numpy().sort(axis=-1)  # in place
        found = [_between(rows, sample, first, last) for first, last in windows]
        if all(indices is not None for indices in found):
            return [indices for indices in found if indices is not None]
    order = _argsort(rows)
    return [order[:, first : last + 1] for first, last in windows]


def _argsort(rows: Tensor) -> Tensor:
    """Indices that sort each row; on CPUs by numpy, whose vectorised sort is far faster."""
    if rows.device.type == "cpu" and not torch.compiler.is_compiling():
        return torch.from_numpy(rows.numpy().argsort(axis=-1))
    return rows.argsort(dim=-1)


def _between(rows: Tensor, sample: Tensor, first: int, last: int) -> Tensor | None:
    """Indices of ranks first … last; None where the sample's bracket does not enclose them."""
    low, high = (value[:, None] for value in _bracket(sample, rows.shape[-1], first, last))
    # counted in the rows' own type, which sums faster than bool and is exact below 2^24
    below = torch.lt(rows, low, out=torch.empty_like(rows)).sum(dim=-1).long()
    row, column = ((rows >= low) & (rows <= high)).nonzero(as_tuple=True)
    counts = row.bincount(minlength=len(rows))
    missed = (below > first) | (below + counts <= last)
    if missed.any() or counts.max() > rows.shape[-1] // 4:
        return None
    starts = counts.cumsum(0) - counts
    place = torch.arange(len(row), device=rows.device) - starts[row]
    values = rows.new_full((len(rows), int(counts.max())), torch.inf)
    columns = column.new_zeros(values.shape)
    values[row, place], columns[row, place] = rows[row, column], column
    wanted = torch.arange(first, last + 1, device=rows.device) - below[:, None]
    return columns.gather(-1, _argsort(values).gather(-1, wanted))


def _bracket(sample: Tensor, n: int, first: int, last: int) -> tuple[Tensor, Tensor]:
    size = sample.shape[-1]
    share = (first + last + 1) / 2 / n
    margin = DEVIATIONS * (share * (1 - share) * size) ** 0.5 + 2
    low = int(first * size / n - margin)
    high = int(last * size / n + margin)
    edge = torch.full_like(sample[:, 0], torch.inf)
    return (
        -edge if low < 0 else sample[:, low],
        edge if high >= size else sample[:, high],
    )
