"""The table of this package's metrics, one entry for each.

It names the module of each function instead of importing it, so that reading the table loads
neither torch nor torchmetrics.
"""

import math

from sib.metrics.spec import MetricSpec

_LOCAL = "sib.metrics.localisation"
_MAP, _PLACED = ("attribution",), ("attribution", "foreground")
_PERTURBED = ("model", "images", "attribution", "targets")
_EXPLAINED = ("model", "images", "targets", "method")

BUILT_IN = (
    MetricSpec(
        "energy_pointing_game", "energy", f"{_LOCAL}:foreground_energy", _PLACED, (0, 1), True,
        "Wang et al. 2020, Score-CAM", "EnergyPointingGame", True, True,
    ),
    MetricSpec(
        "background_leakage", "leakage", f"{_LOCAL}:background_leakage", _PLACED, (0, 100), False,
        "own; compare Kohlbrenner et al. 2020", "BackgroundLeakage", True, True,
    ),
    MetricSpec(
        "pointing_game", "pointing", f"{_LOCAL}:pointing_game", _PLACED, (0, 1), True,
        "Zhang et al. 2018, excitation backprop", "PointingGame", True,
    ),
    MetricSpec(
        "top_pixel_iou", "top IoU", f"{_LOCAL}:top_pixel_iou", _PLACED, (0, 1), True,
        "Rao et al. 2023", "TopPixelIoU", True,
    ),
    MetricSpec(
        "relevance_rank_accuracy", "rank", f"{_LOCAL}:relevance_rank_accuracy", _PLACED, (0, 1),
        True, "Arras et al. 2022, CLEVR-XAI", "RelevanceRankAccuracy", True,
    ),
    MetricSpec(
        "sparseness", "sparse", "sib.metrics.sparseness:gini_sparseness", _MAP, (0, 1), True,
        "Chalasani et al. 2020", "Sparseness", True, True,
    ),
    MetricSpec(
        "insertion_area", "insertion", "sib.metrics.perturbation:insertion_area", _PERTURBED,
        (0, 1), True, "Petsiuk et al. 2018, RISE", "InsertionArea",
    ),
    MetricSpec(
        "deletion_area", "deletion", "sib.metrics.perturbation:deletion_area", _PERTURBED,
        (0, 1), False, "Petsiuk et al. 2018, RISE", "DeletionArea",
    ),
    MetricSpec(
        "parameter_randomisation", "random", "sib.metrics.randomisation:full_randomisation",
        _EXPLAINED, (-1, 1), False, "Adebayo et al. 2018, Sanity checks", "ParameterRandomisation",
    ),
    MetricSpec(
        "energy_gain", "gain", "sib.metrics.chance:energy_gain", _PLACED, (-math.inf, 1), True,
        "Wang et al. 2020; Cohen 1960", differentiable=True,
    ),
    MetricSpec(
        "energy_gain_over_centre", "gain over centre",
        "sib.metrics.chance:energy_gain_over_centre", _PLACED, (-math.inf, 1), True,
        "Wang et al. 2020; Judd et al. 2009", differentiable=True,
    ),
    MetricSpec(
        "energy_gain_over_untrained", "gain over untrained",
        "sib.metrics.untrained:energy_gain_over_untrained",
        ("model", "images", "attribution", "targets", "foreground", "method"), (-math.inf, 1),
        True, "Wang et al. 2020; Adebayo et al. 2018",
    ),
    MetricSpec(
        "grid_pointing_game", "grid", "sib.metrics.specificity:grid_pointing_game", _EXPLAINED,
        (0, 1), True, "Böhle et al. 2021; Rao et al. 2022, GridPG",
    ),
    MetricSpec(
        "class_correlation", "other class", "sib.metrics.specificity:class_correlation",
        _EXPLAINED, (-1, 1), False, "Rebuffi et al. 2020",
    ),
    MetricSpec(
        "road_most_relevant", "ROAD most", "sib.metrics.removal:road_most_relevant", _PERTURBED,
        (0, 1), False, "Rong et al. 2022, ROAD",
    ),
    MetricSpec(
        "road_least_relevant", "ROAD least", "sib.metrics.removal:road_least_relevant",
        _PERTURBED, (0, 1), True, "Rong et al. 2022, ROAD",
    ),
    MetricSpec(
        "map_sensitivity", "sensitivity", "sib.metrics.stability:map_sensitivity", _EXPLAINED,
        (0, math.inf), False, "Yeh et al. 2019",
    ),
    MetricSpec(
        "local_lipschitz", "Lipschitz", "sib.metrics.stability:local_lipschitz", _EXPLAINED,
        (0, math.inf), False, "Alvarez-Melis & Jaakkola 2018",
    ),
)  # fmt: skip
