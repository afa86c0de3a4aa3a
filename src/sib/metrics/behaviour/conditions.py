"""The changes of the images under which a classifier is audited."""

from typing import NamedTuple

from sib.metrics.behaviour.fill import FILLS

EXCHANGED, SAME_CLASS, ALONE = "exchanged", "same_class", "background_alone"
OBJECT_ALONE = "object_alone"


class Condition(NamedTuple):
    """A change of every image.

    Example:
        >>> from sib.metrics.behaviour import CONDITIONS
        >>> CONDITIONS["exchanged_tiled"]
        Condition(title='background of another class (tiled)', kind='exchanged', fill='tiled')
    """

    title: str
    kind: str
    fill: str = ""
    """How the donor's object is removed, for conditions with a donor."""


CONDITIONS: dict[str, Condition] = {
    **{
        f"{EXCHANGED}_{fill}": Condition(f"background of another class ({fill})", EXCHANGED, fill)
        for fill in FILLS
    },
    **{
        f"{SAME_CLASS}_{fill}": Condition(
            f"background of the same class ({fill})", SAME_CLASS, fill
        )
        for fill in FILLS
    },
    "blurred": Condition("background blurred", "blurred"),
    "greyed": Condition("background without colour", "greyed"),
    "noised": Condition("background with noise", "noised"),
    OBJECT_ALONE: Condition("object alone", OBJECT_ALONE),
    **{f"{ALONE}_{fill}": Condition(f"background alone ({fill})", ALONE, fill) for fill in FILLS},
}
"""All changes, by name."""


class Measure(NamedTuple):
    """A figure of a condition, and how to read it.

    Example:
        >>> from sib.metrics.behaviour import MEASURES
        >>> MEASURES["changed"].title, MEASURES["changed"].better
        ('decisions changed', 'lower')
    """

    title: str
    range: tuple[float, float]
    better: str
    """Which direction is better if the object is shown; the opposite for the background alone."""
    formula: str
    source: str


_INFINITE = float("inf")
MEASURES = {
    "accuracy": Measure(
        "accuracy", (0, 1), "higher", "mean_i [argmax_k z_ik(x̃) = y_i]", "Xiao et al. 2020"
    ),
    "changed": Measure(
        "decisions changed", (0, 1), "lower", "mean_i [argmax_k z_ik(x̃) ≠ t_i]", "own"
    ),
    "added": Measure(
        "labels added (several labels an image)",
        (0, 1),
        "lower",
        "mean_ik [∃ m ∉ L_i: z_m(x̃_ik) > 0 ≥ z_m(x_i)], see `label_behaviour_of`",
        "own",
    ),
    "log_odds_change": Measure(
        "change of the log-odds",
        (-_INFINITE, _INFINITE),
        "higher",
        "mean_i ℓ_t(x̃_i) − ℓ_t(x_i), t_i = argmax_k z_ik(x), ℓ_t = log p_t / (1 − p_t)",
        "own",
    ),
    "worst_class": Measure(
        "accuracy, worst class", (0, 1), "higher", "min over classes of the accuracy", "own"
    ),
    "worst_group": Measure(
        "accuracy, worst group",
        (0, 1),
        "higher",
        "min over groups of the accuracy",
        "Sagawa et al. 2020",
    ),
    "background_gap": Measure(
        "background gap",
        (-1, 1),
        "lower",
        "accuracy with the background of the same class minus that with another class's",
        "Xiao et al. 2020",
    ),
}
"""The figures that `summarise` computes. Formulas are those for one class an image; with several
labels, images are pairs of image and label, and `label_behaviour_of` has the formulas."""
