"""The words of an audit: its verdict, the reason for a missing one, the advice and the losses."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sib.evaluation.audit.figures import figures, majority
from sib.evaluation.scores import Scores
from sib.evaluation.stored import Evaluation
from sib.report.audit_losses import losses
from sib.report.audit_words import verdict


def made(images, changed, alone=0.5, same=0.5, own=1.0, run=None):
    """An audit of two classes, all of whose decisions are given by shares of the images."""
    place, kind = np.arange(images), "exchanged_tiled"
    labels = place % 2

    def share(value):
        return (place * 7 % images < round(value * images)).astype(float)

    right = share(own)
    predicted = np.where(right == 1, labels, 1 - labels)
    columns = {
        ("original", "correct"): right,
        (kind, "correct"): right * (1 - share(changed)),
        (kind, "changed"): share(changed),
        (kind, "log_odds_change"): -share(changed),
        ("background_alone_tiled", "correct"): share(alone),
        ("background_alone_tiled", "changed"): 1 - share(same),
    }
    scores = Scores(
        [str(each) for each in place],
        labels.tolist(),
        predicted.tolist(),
        [1.0] * images,
        [0.5] * images,
        list(columns),
        np.stack(list(columns.values()), axis=1),
    )
    facts = {
        "conditions": figures(scores, ["a", "b"], None, resamples=10),
        "scored": images,
        "foreground_words": "",
        "chance": 0.5,
        "majority": majority(scores),
    }
    return Evaluation(Path("made"), facts, scores, run)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"images": 40, "changed": 0.0, "own": 0.5}, "it is right for 50 of 100, which is not"),
        ({"images": 6, "changed": 0.0}, "6 images are too few"),
    ],
)
def test_a_missing_verdict_has_a_reason(options, reason):
    found = verdict(made(**options))
    assert found.level == "unknown"
    assert found.headline.startswith(f"The audit cannot tell what it decides by: {reason}")


def trained_with(**config):
    return SimpleNamespace(config=config)


@pytest.mark.parametrize(
    ("images", "changed", "alone", "same", "own", "level"),
    [
        (200, 0.04, 0.5, 0.5, 1.0, "object"),
        (200, 0.3, 0.7, 0.5, 1.0, "partly"),
        (200, 0.7, 0.7, 0.5, 1.0, "background"),
        (200, 0.7, 0.5, 0.9, 0.5, "background"),  # backgrounds independent of the class
        (200, 0.3, 0.5, 0.5, 1.0, "disturbed"),
        (200, 0.7, 0.53, 0.53, 1.0, "disturbed"),
        (200, 0.3, 0.7, 0.5, 0.53, "unknown"),
        (9, 1.0, 0.5, 0.5, 1.0, "unknown"),
        (36, 0.06, 0.5, 0.5, 0.89, "undecided"),
        (36, 0.16, 0.7, 0.5, 1.0, "undecided"),
        (18, 0.0, 0.5, 0.5, 1.0, "undecided"),  # none of so few does not exclude one in ten
    ],
)
def test_levels_follow_from_the_interval(images, changed, alone, same, own, level):
    assert verdict(made(images, changed, alone, same, own)).level == level


def test_an_interval_on_both_sides_of_a_limit_is_named():
    """84 of 100 before other backgrounds, from 89 and from 100 on unchanged images."""
    for changed, own in ((0.06, 0.89), (0.16, 1.0)):
        told = verdict(made(36, changed, 0.9, 0.5, own))
        assert told.headline.startswith("The audit cannot tell with 36 images whether it decides")
        assert re.search(r"change between \d+ and \d+ of 100 decisions", told.headline)
        assert told.brief.startswith("Undecided: it decides ")
        assert told.headline.endswith("Audit more images.")
        assert "Audit more images" in told.advice[0] and len(told.advice) == 1
    told = verdict(made(100, 0.5, 0.9))
    assert "in part by the background or decides mostly by the background" in told.headline
    assert any("Do not rely on it" in text for text in told.advice)


def test_few_images_say_nothing():
    told = verdict(made(9, 1.0))
    assert told.level == "unknown" and "Only 9 images could be audited" in told.advice[0]


def test_a_background_that_says_nothing_only_disturbs():
    told = verdict(made(200, 0.7, 0.53, 0.53))
    assert told.headline == "Foreign backgrounds disturb it."
    assert not any("unknown whether it decides by them" in text for text in told.sentences)
    other = made(200, 0.7)
    kept = [pair for pair in other.scores.columns if pair[0] != "background_alone_tiled"]
    scores = replace(other.scores, columns=kept, values=other.scores.values[:, : len(kept)])
    del other.facts["conditions"]["background_alone_tiled"]
    told = verdict(other._replace(scores=scores))
    assert told.level == "disturbed"
    assert any("unknown whether it decides by them" in text for text in told.sentences)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"method": "ce"}, "--method sib"),
        ({"method": "sib", "guided_share": None}, "--guided-share 1"),
        ({"method": "sib", "guided_share": 1.0}, "trained with guided S-IB already"),
        (
            {"method": "energy", "guided_share": 1.0},
            "of the same objects in front of other backgrounds",
        ),
    ],
)
def test_no_run_is_advised_to_train_as_it_did(config, expected):
    said = " ".join(verdict(made(200, 0.7, 0.9, run=trained_with(**config))).advice)
    assert expected in said
    assert ("--method sib" in said) == (config["method"] == "ce")


def test_only_losses_are_listed():
    audit = made(100, 0.1)
    audit.scores.values[:, audit.scores.columns.index(("original", "correct"))] = 1
    columns = [*audit.scores.columns, ("original", "log_odds"), ("exchanged_tiled", "predicted")]
    certain, decided = np.full((100, 1), 20.0), np.zeros((100, 1))
    values = np.hstack([audit.scores.values, certain, decided])
    scores = replace(audit.scores, columns=columns, values=values)
    changed = scores.column("exchanged_tiled", "changed")
    listed = losses(scores, "exchanged_tiled", 100)
    assert listed == np.flatnonzero(changed).tolist() and len(listed) == 10
    values[:, columns.index(("exchanged_tiled", "changed"))] = 0  # odds 20 to 19: 1.00 to 1.00
    assert losses(scores, "exchanged_tiled", 100) == []
    values[3, columns.index(("exchanged_tiled", "log_odds_change"))] = -19
    assert losses(scores, "exchanged_tiled", 100) == [3]
