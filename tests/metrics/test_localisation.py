"""Where a map lies: by hand, against Quantus, and what cannot be scored."""

import math

import numpy as np
import pytest
import torch

from helpers.quantus import quiet_quantus
from sib.metrics import (
    MAP_MEASURES,
    background_leakage,
    foreground_energy,
    gini_sparseness,
    pointing_game,
    relevance_rank_accuracy,
    top_pixel_iou,
)

LOCALISATION = [
    foreground_energy,
    background_leakage,
    pointing_game,
    top_pixel_iou,
    relevance_rank_accuracy,
]
# Positive part: 6 + 5 + 4 + 3 + 2 = 20; inside 6 + 4 + 2 = 12 on three pixels, outside 8 on six.
MAP = torch.tensor([[[6.0, 5.0, -7.0], [4.0, 3.0, -1.0], [2.0, 0.0, -1.0]]])
FOREGROUND = torch.tensor([[[1, 0, 0], [1, 0, 0], [1, 0, 0]]]).bool()


def test_by_hand():
    """The three largest are 6, 5 and 4, of which 6 and 4 lie inside."""
    assert foreground_energy(MAP, FOREGROUND).item() == pytest.approx(12 / 20)
    assert background_leakage(MAP, FOREGROUND).item() == pytest.approx((8 / 6) / (12 / 3))
    assert pointing_game(MAP, FOREGROUND).item() == 1
    assert relevance_rank_accuracy(MAP, FOREGROUND).item() == pytest.approx(2 / 3)
    assert top_pixel_iou(MAP, FOREGROUND).item() == pytest.approx(2 / 4)


def test_by_hand_elsewhere():
    """The same map with the other six pixels as the object: its three zeros share two places."""
    other = ~FOREGROUND
    assert foreground_energy(MAP, other).item() == pytest.approx(8 / 20)
    assert background_leakage(MAP, other).item() == pytest.approx((12 / 3) / (8 / 6))
    assert pointing_game(MAP, other).item() == 0
    # the top six: 6, 5, 4, 3, 2 and one of the four zeros, all inside: 2 + 1 hits
    assert relevance_rank_accuracy(MAP, other).item() == pytest.approx(3 / 6)
    assert top_pixel_iou(MAP, other).item() == pytest.approx(3 / 9)


def test_gini_by_hand():
    """1, 2, 3: Σ (2i − n − 1) a / (n Σ a) = (−2 + 0 + 6) / 18; even: 0; one pixel: 1 − 1/n."""
    maps = torch.tensor([[[1.0, -2.0, 3.0]], [[2.0, 2.0, -2.0]], [[0.0, 5.0, 0.0]]])
    torch.testing.assert_close(gini_sparseness(maps), torch.tensor([4 / 18, 0.0, 2 / 3]))


def test_ties_count_by_chance():
    """Two of the four equal pixels lie inside."""
    tied, half = torch.ones(1, 2, 2), torch.tensor([[[True, True], [False, False]]])
    assert pointing_game(tied, half).item() == 0.5
    assert relevance_rank_accuracy(tied, half).item() == 0.5
    assert top_pixel_iou(tied, half).item() == pytest.approx(1 / 3)
    # one clear hit, then one place for three tied pixels, one of which lies inside
    tied[0, 0, 0] = 2.0
    assert pointing_game(tied, half).item() == 1
    assert relevance_rank_accuracy(tied, half).item() == pytest.approx((1 + 1 / 3) / 2)


def test_an_even_map_scores_the_share_of_the_area():
    even, foreground = torch.full((2, 5, 5), 3.0), torch.zeros(2, 5, 5, dtype=torch.bool)
    foreground[0, :2], foreground[1, 0, 0] = True, True
    for measure in (foreground_energy, pointing_game, relevance_rank_accuracy):
        torch.testing.assert_close(measure(even, foreground), torch.tensor([10 / 25, 1 / 25]))
    torch.testing.assert_close(background_leakage(even, foreground), torch.ones(2))


def test_leakage_is_cut_where_nothing_falls_inside():
    outside = (~FOREGROUND).float()
    assert background_leakage(outside, FOREGROUND).item() == 100
    assert background_leakage(outside, FOREGROUND, ceiling=7.0).item() == 7
    assert background_leakage(outside, FOREGROUND, ceiling=math.inf).item() == math.inf


@pytest.mark.parametrize("measure", LOCALISATION)
def test_not_scored(measure):
    """No foreground, a zero map, a negative map, a map that is not finite; then one that is."""
    maps = torch.stack([MAP[0], 0 * MAP[0], -torch.ones(3, 3), MAP[0], MAP[0], MAP[0]])
    maps[3, 2, 2], maps[4, 2, 2] = math.nan, math.inf
    foreground = FOREGROUND.repeat(6, 1, 1)
    foreground[0] = False
    assert measure(maps, foreground).isnan().tolist() == [True] * 5 + [False]


def test_full_foreground():
    full = torch.ones_like(FOREGROUND)
    assert background_leakage(MAP, full).isnan()
    for measure in set(LOCALISATION) - {background_leakage}:
        assert measure(MAP, full).item() == 1


def test_gini_of_a_zero_map_is_not_scored_and_of_a_negative_one_is():
    maps = torch.stack([torch.zeros(2, 2), -torch.eye(2)])
    found = gini_sparseness(maps)
    assert found[0].isnan() and found[1].item() == pytest.approx(0.5)


@pytest.mark.parametrize("name", MAP_MEASURES)
def test_no_measure_depends_on_the_scale_or_the_neighbours(name):
    measure = MAP_MEASURES[name].function
    maps, foreground = torch.randn(6, 7, 5), torch.rand(6, 7, 5) < 0.3
    scaled = measure(maps * torch.logspace(-20, 20, 6)[:, None, None], foreground)
    alone = torch.cat([measure(maps[i : i + 1], foreground[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(scaled, alone)
    assert alone.isfinite().all() and alone.unique().numel() > 1


@pytest.fixture
def cases():
    """Forty maps without ties and foregrounds that are neither empty nor full."""
    maps = torch.randn(40, 9, 8)
    foreground = torch.rand(40, 9, 8) < torch.linspace(0.1, 0.9, 40)[:, None, None]
    assert (foreground.flatten(1).any(1) & ~foreground.flatten(1).all(1)).all()
    return maps, foreground


@pytest.mark.parametrize(
    ("measure", "name", "options"),
    [
        (pointing_game, "PointingGame", {}),
        (foreground_energy, "AttributionLocalisation", {"positive_attributions": True}),
        (foreground_energy, "RelevanceMassAccuracy", {}),
        (relevance_rank_accuracy, "RelevanceRankAccuracy", {}),
        (lambda maps, _: gini_sparseness(maps), "Sparseness", {"abs": True}),
    ],
)
def test_equals_quantus(cases, measure, name, options):
    with quiet_quantus() as quantus:
        maps, foreground = cases
        # Quantus takes signed maps as they are; ranks and energy are of the positive part here
        maps = maps if name == "Sparseness" else maps.exp()
        metric = getattr(quantus, name)(
            **{"abs": False, "normalise": False, "disable_warnings": True, **options}
        )
        theirs = metric(
            model=None,
            x_batch=np.zeros((40, 1, 9, 8)),
            y_batch=np.zeros(40, dtype=int),
            a_batch=maps[:, None].double().numpy().copy(),
            s_batch=foreground[:, None].numpy(),
        )
    ours = measure(maps, foreground)
    torch.testing.assert_close(
        ours.double(), torch.tensor(np.array(theirs, dtype=float)), rtol=0, atol=1e-5
    )
    assert ours.unique().numel() > 1


@pytest.mark.parametrize("measure", LOCALISATION)
@pytest.mark.parametrize(
    ("attribution", "foreground", "sentence"),
    [
        (torch.ones(2, 3, 3), torch.ones(2, 3, 4).bool(), "must both have shape"),
        (torch.ones(3, 3), torch.ones(3, 3).bool(), "must both have shape"),
        (torch.ones(2, 3, 3), torch.ones(2, 3, 3), "foreground must be bool"),
        (torch.ones(2, 3, 3).int(), torch.ones(2, 3, 3).bool(), "attribution must be floating"),
    ],
)
def test_bad_input(measure, attribution, foreground, sentence):
    with pytest.raises(ValueError, match=sentence):
        measure(attribution, foreground)


def test_bad_input_of_the_others():
    with pytest.raises(ValueError, match=r"attribution must be a non-empty \(B, H, W\)"):
        gini_sparseness(torch.ones(3, 3))
    with pytest.raises(ValueError, match="ceiling must be above 0; got 0"):
        background_leakage(MAP, FOREGROUND, ceiling=0)


def test_empty_maps_are_refused():
    for shape in ((0, 3, 3), (2, 0, 3)):
        with pytest.raises(ValueError, match="not be empty"):
            pointing_game(torch.zeros(shape), torch.zeros(shape).bool())
