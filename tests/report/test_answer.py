"""The answer of a report in a sentence, and the figures behind it."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.trained import evaluated
from sib.evaluation.groups import GroupedRuns, group_by_seed
from sib.evaluation.scores import ENERGY, Scores, energies
from sib.evaluation.stored import read_stored
from sib.report.answer import answer
from sib.utils.numbers import signed


def grouped(evaluations):
    return GroupedRuns(group_by_seed(evaluations))


def test_the_answer_is_the_difference_of_the_groups():
    evaluations = [read_stored(evaluated(m, seed)) for m in ("ce", "sib") for seed in (0, 1)]
    found = answer(grouped(evaluations))
    first, second = evaluations[:2], evaluations[2:]
    means = [np.mean([energies(e.scores).mean() for e in group]) for group in (first, second)]
    correct = [np.mean([e.scores.correct.mean() for e in group]) for group in (first, second)]
    sentence = found["sentence"].replace("−", "-")
    assert any(f"{signed(sign * (means[1] - means[0]))} ± " in sentence for sign in (1, -1))
    assert f"{signed(correct[1] - correct[0])} ± " in sentence
    cells = [[cell["mean"] for cell in row["cells"] if cell] for row in found["rows"]]
    assert [row[0] for row in cells[:2]] == [f"{value:.3f}" for value in correct]
    assert [row["name"] for row in found["rows"]] == [
        "cross-entropy, 2 seeds",
        "S-IB, 2 seeds",
        "an even map",
    ]


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        ([0.2, 0.0], "The maps shown first, saliency, show no clear difference (0.000 ± 0.000)."),
        ([0.3, -0.1], "saliency, those of cross-entropy lie on the object more than those of S-IB"),
        ([0.2, 0.1], ""),
    ],
)
def test_the_answer_names_first_maps_that_say_something_else(moved, said):
    """Maps by two methods, one of which moves by another amount than the mean does."""
    first, second = (read_stored(evaluated(method, 0)) for method in ("ce", "sib"))
    columns = [("vjp", ENERGY), ("saliency", ENERGY)]
    values = np.full((len(first.scores.names), 2), 0.5)
    loaded = grouped(
        [
            first._replace(scores=replace(first.scores, columns=columns, values=values)),
            second._replace(scores=replace(second.scores, columns=columns, values=values + moved)),
        ]
    )
    found = answer(loaded, "saliency")
    assert found["sentence"].startswith("Explanations of S-IB lie on the object more than those of")
    assert said in found["exception"] and bool(said) == bool(found["exception"])
    assert answer(loaded)["exception"] == ""


def test_the_answer_compares_the_methods_that_all_runs_have():
    first, second = (read_stored(evaluated(method, 0)) for method in ("ce", "sib"))
    full = answer(grouped([first, second]))
    scores, kept = second.scores, [("vjp", ENERGY), ("saliency", ENERGY)]
    values = np.stack([scores.column(*pair) for pair in kept], axis=1)
    table = {method: second.facts["table"][method] for method, _ in kept}
    fewer = second._replace(
        scores=replace(scores, columns=kept, values=values), facts=second.facts | {"table": table}
    )
    found = answer(grouped([first, fewer]))
    assert "mean over 2 methods" in found["caption"]
    assert found["rows"][0]["cells"][1] != full["rows"][0]["cells"][1]
    own = np.mean([first.facts["table"][method][ENERGY]["mean"] for method, _ in kept])
    assert found["rows"][0]["cells"][1]["mean"] == f"{own:.3f}"


def test_energies_leave_out_a_method_without_a_value():
    scores = Scores(
        ["a", "b"],
        [0, 0],
        [0, 0],
        [1.0, 1.0],
        [0.5, 0.5],
        [("vjp", "energy_pointing_game"), ("gradcam", "energy_pointing_game"), ("vjp", "other")],
        np.array([[0.2, 0.4, 9.0], [np.nan, np.nan, 9.0]]),
    )
    assert energies(scores)[0] == pytest.approx(0.3) and np.isnan(energies(scores)[1])


def with_energies(evaluation, values):
    """The evaluation with other energies (N, 1) by one method, of objects that fill 0.4."""
    shares = [0.4] * len(evaluation.scores.names)
    scores = replace(
        evaluation.scores, columns=[("vjp", ENERGY)], values=values, foreground_share=shares
    )
    table = {"vjp": {ENERGY: {"mean": float(values.mean())}}}
    facts = evaluation.facts | {"table": table, "foreground_share": 0.4}
    return evaluation._replace(scores=scores, facts=facts)


@pytest.mark.parametrize(
    ("means", "said"),
    [
        ([0.6], "which covers 40\N{NO-BREAK SPACE}% of an image."),
        ([0.41], "That is not clearly more than an even map has (0.410 against 0.400, +0.010 ± "),
        ([0.3], "That is less than an even map has (0.300 against 0.400, −0.100 ± "),
        ([0.6, 0.75], "0.750 against 0.600"),
        ([0.39, 0.41], "Neither is clearly better than an even map, which has 0.400."),
        ([0.39, 0.7], "Cross-entropy (0.390, −0.010 ± "),
        ([0.7, 0.41], "S-IB (0.410, +0.010 ± "),
    ],
)
def test_the_answer_names_runs_that_are_not_clearly_better_than_an_even_map(means, said):
    runs = [read_stored(evaluated(method, 0)) for method in ("ce", "sib")]
    spread = np.linspace(-0.1, 0.1, len(runs[0].scores.names))[:, None]
    found = [with_energies(run, mean + spread) for run, mean in zip(runs, means, strict=False)]
    sentence = answer(grouped(found))["sentence"]
    assert said in sentence
    assert ("even map" in sentence) == any(mean < 0.5 for mean in means)
    assert ("is not clearly better than an even map" in sentence) == (0.7 in means)
