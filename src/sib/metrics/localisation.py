"""How much of an explanation falls on the object."""

from torch import Tensor

from sib.functional.precision import to_float64
from sib.metrics.arguments import check_maps, positive_rows, scored


def foreground_energy(attribution: Tensor, foreground: Tensor) -> Tensor:
    """Share of the positive attribution that falls inside the foreground.

    E = Σ_{ij ∈ foreground} max(a_ij, 0) / Σ_ij max(a_ij, 0), the energy-based pointing game. In
    [0, 1], larger is better; an attribution spread evenly scores the foreground's share of the
    area. Negative attribution counts as 0.

    Args:
        attribution: (B, H, W).
        foreground: (B, H, W), bool.

    Returns:
        (B,), NaN for an image without foreground or with no positive attribution.

    Raises:
        ValueError: the shapes do not match, or ``foreground`` is not bool.

    Source: Wang et al. 2020, Score-CAM, section 4.3.

    Example:
        >>> import sib, torch
        >>> foreground = torch.tensor([[[True, False], [False, False]]])
        >>> sib.metrics.foreground_energy(torch.tensor([[[3.0, 1.0], [-5.0, 0.0]]]), foreground)
        tensor([0.7500])
    """
    check_maps(attribution, foreground)
    energy = positive_rows(attribution)
    inside = (energy * foreground.flatten(1)).sum(dim=1)
    return scored(inside / energy.sum(dim=1), energy, foreground)


def background_leakage(
    attribution: Tensor, foreground: Tensor, *, ceiling: float = 100.0
) -> Tensor:
    """Mean positive attribution outside the foreground, divided by the mean inside.

    L = mean_{ij ∉ foreground} max(a_ij, 0) / mean_{ij ∈ foreground} max(a_ij, 0), clipped at
    ``ceiling``. A map with nothing inside has L = ∞, and a single such image would make the mean
    over images infinite. In [0, ceiling], smaller is better; an attribution spread evenly scores 1,
    whatever the object's size. Negative attribution counts as 0.

    Args:
        attribution: (B, H, W).
        foreground: (B, H, W), bool.
        ceiling: largest value, above 0; ``math.inf`` does not clip the ratio.

    Returns:
        (B,), NaN for an image without foreground, without background, or with no positive
        attribution.

    Raises:
        ValueError: the shapes do not match, ``foreground`` is not bool, or ``ceiling`` is not
            above 0.

    Source: own; compare the inside-total relevance ratio of Kohlbrenner et al. 2020.

    Example:
        >>> import sib, torch
        >>> foreground = torch.tensor([[[True, False], [False, False]]])
        >>> sib.metrics.background_leakage(torch.tensor([[[4.0, 6.0], [0.0, 0.0]]]), foreground)
        tensor([0.5000])
    """
    if not ceiling > 0:
        raise ValueError(f"ceiling must be above 0; got {ceiling!r}")
    check_maps(attribution, foreground)
    energy, inside = positive_rows(attribution), foreground.flatten(1)
    within = (energy * inside).sum(dim=1) / inside.sum(dim=1)
    # 0 / 0 where there is no background: NaN, as it should be
    without = (energy * ~inside).sum(dim=1) / (~inside).sum(dim=1)
    return scored((without / within).clamp(max=ceiling), energy, foreground)


def pointing_game(attribution: Tensor, foreground: Tensor) -> Tensor:
    """Whether the largest attribution lies inside the foreground.

    P = 1 if argmax_ij a_ij ∈ foreground else 0. If several pixels share the largest value, P is the
    share of them that lies inside: the chance that a random one of them is a hit. In [0, 1], larger
    is better. No margin around the object is counted as a hit.

    Args:
        attribution: (B, H, W).
        foreground: (B, H, W), bool.

    Returns:
        (B,), NaN for an image without foreground or with no positive attribution.

    Raises:
        ValueError: the shapes do not match, or ``foreground`` is not bool.

    Source: Zhang et al. 2018, Top-down neural attention by excitation backprop, there
        with a margin of 15 pixels.

    Example:
        >>> import sib, torch
        >>> foreground = torch.tensor([[[True, False], [False, False]]])
        >>> sib.metrics.pointing_game(torch.tensor([[[4.0, 6.0], [0.0, 0.0]]]), foreground)
        tensor([0.])
    """
    check_maps(attribution, foreground)
    rows = positive_rows(attribution)
    largest = rows == rows.amax(dim=1, keepdim=True)
    hits = (largest & foreground.flatten(1)).sum(dim=1) / largest.sum(dim=1)
    return scored(hits, rows, foreground)


def top_pixel_iou(attribution: Tensor, foreground: Tensor) -> Tensor:
    """Overlap of the foreground with the same number of most attributed pixels.

    With the foreground F, k = |F|, T the k pixels of the largest positive attribution and
    h = |T ∩ F|: IoU = |T ∩ F| / |T ∪ F| = h / (2k − h). Pixels that tie for the last places of T
    count by their expected number for a random choice among them. In [0, 1], larger is better. It
    increases with `relevance_rank_accuracy`, and more steeply near 1.

    Args:
        attribution: (B, H, W).
        foreground: (B, H, W), bool.

    Returns:
        (B,), NaN for an image without foreground or with no positive attribution.

    Raises:
        ValueError: the shapes do not match, or ``foreground`` is not bool.

    Source: Rao et al. 2023, Studying how to efficiently and effectively guide models with
        explanations, there with a threshold; at the object's area no threshold is needed.

    Example:
        >>> import sib, torch
        >>> foreground = torch.tensor([[[True, True], [False, False]]])
        >>> sib.metrics.top_pixel_iou(torch.tensor([[[4.0, 0.0], [6.0, 1.0]]]), foreground)
        tensor([0.3333])
    """
    check_maps(attribution, foreground)
    rows = positive_rows(attribution)
    size = foreground.flatten(1).sum(dim=1)
    hits = _hits_among_top(rows, foreground.flatten(1))
    return scored(hits / (2 * size - hits), rows, foreground)


def relevance_rank_accuracy(attribution: Tensor, foreground: Tensor) -> Tensor:
    """Share of the k pixels of the largest attribution that lie inside a foreground of k pixels.

    A = |T ∩ F| / |F|, with the foreground F and T the |F| pixels of the largest positive
    attribution. Ties for the last places of T count by their expected number. In [0, 1], larger is
    better; an attribution spread evenly scores the foreground's share of the area.

    Args:
        attribution: (B, H, W).
        foreground: (B, H, W), bool.

    Returns:
        (B,), NaN for an image without foreground or with no positive attribution.

    Raises:
        ValueError: the shapes do not match, or ``foreground`` is not bool.

    Source: Arras et al. 2022, CLEVR-XAI.

    Example:
        >>> import sib, torch
        >>> foreground = torch.tensor([[[True, True], [False, False]]])
        >>> attribution = torch.tensor([[[4.0, 0.0], [6.0, 1.0]]])
        >>> sib.metrics.relevance_rank_accuracy(attribution, foreground)
        tensor([0.5000])
    """
    check_maps(attribution, foreground)
    rows = positive_rows(attribution)
    hits = _hits_among_top(rows, foreground.flatten(1))
    return scored(hits / foreground.flatten(1).sum(dim=1), rows, foreground)


def _hits_among_top(rows: Tensor, inside: Tensor) -> Tensor:
    """Expected number (B,) of the k largest entries that are inside, k the number inside."""
    k = inside.sum(dim=1, keepdim=True)
    descending = rows.sort(dim=1, descending=True).values
    threshold = descending.gather(1, (k - 1).clamp(min=0))
    above, tied = rows > threshold, rows == threshold
    places = k - above.sum(dim=1, keepdim=True)
    among_tied = places * (tied & inside).sum(dim=1, keepdim=True) / tied.sum(dim=1, keepdim=True)
    return to_float64(((above & inside).sum(dim=1, keepdim=True) + among_tied).squeeze(1))
