"""Choosing among grid points, by made-up runs whose test figures would mislead."""

import json

import pytest

from helpers.studies import planned, pretend_evaluated, pretend_trained
from sib.study.plan import VALIDATION
from sib.study.selection import choose
from sib.utils.errors import InputError

GRID = {"ce": {"method": "ce"}, "sib": {"objective": {"slope": [1, 2, 3]}}}
WITHIN = "foreground_energy_within_accuracy"
# by slope: accuracy on validation under seeds 0 and 1, energy there, accuracy on test
FIGURES = {
    "ce": ((0.8, 0.6), 0.3, 0.1),
    "sib-slope=1": ((0.9, 0.3), 0.9, 1.0),
    "sib-slope=2": ((0.7, 0.6), 0.5, 0.1),
    "sib-slope=3": ((0.6, 0.6), 0.6, 1.0),
}


def chosen(tmp_path, leave_out=(), **changes):
    study, runs = planned(tmp_path, settings=GRID, **changes)
    for run in runs:
        if run.name in leave_out:
            continue
        accuracies, energy, test = FIGURES[run.point.name]
        pretend_trained(run, accuracies[run.seed], test)
        if run.setting == "sib":
            pretend_evaluated(run, VALIDATION, 0.5, [energy, energy - 0.1])
    return {choice.setting: choice for choice in choose(study, runs)}


def test_by_accuracy_the_best_mean_over_seeds_on_validation(tmp_path):
    """Means 0.6, 0.65 and 0.6; on test the other two would win."""
    choice = chosen(tmp_path)["sib"]
    assert choice.chosen.point == "sib-slope=2"
    assert choice.chosen.accuracy == pytest.approx(0.65)
    assert [other.point for other in choice.others] == ["sib-slope=1", "sib-slope=3"]


def test_by_energy_the_largest_mean_over_methods(tmp_path):
    choice = chosen(tmp_path, choose_by="foreground_energy")["sib"]
    assert choice.chosen.point == "sib-slope=1"
    assert choice.chosen.energy == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("margin", "point", "within"),
    [
        (0.0, "sib-slope=2", False),  # cross-entropy has 0.7, none reaches it
        (0.05, "sib-slope=2", True),
        (0.1, "sib-slope=1", True),
    ],
)
def test_by_energy_among_those_about_as_accurate_as_the_reference(tmp_path, margin, point, within):
    choice = chosen(tmp_path, choose_by=WITHIN, accuracy_margin=margin)["sib"]
    assert (choice.chosen.point, choice.within_margin) == (point, within)


def test_without_figures_of_the_reference_no_margin_is_met(tmp_path):
    options = {"choose_by": WITHIN, "accuracy_margin": 0.1, "leave_out": {"ce-0", "ce-1"}}
    choice = chosen(tmp_path, **options)["sib"]
    assert (choice.chosen.point, choice.within_margin) == ("sib-slope=2", False)


def test_of_equals_the_first_in_the_file(tmp_path):
    choice = chosen(tmp_path, seeds=[1])["sib"]
    assert choice.chosen.point == "sib-slope=2"  # 0.6 as slope 3


def test_a_point_with_a_failed_run_is_not_to_choose_from(tmp_path):
    choice = chosen(tmp_path, leave_out={"sib-slope=2-1"})["sib"]
    assert choice.chosen.point == "sib-slope=1"
    assert choice.incomplete == ("sib-slope=2",)


def test_a_setting_without_grid_keeps_the_seeds_that_it_has(tmp_path):
    choices = chosen(tmp_path, leave_out={"ce-0"})
    assert [run.name for run in choices["ce"].chosen.runs] == ["ce-1"]


def test_a_setting_without_any_whole_point_has_no_choice(tmp_path):
    left_out = {f"sib-slope={slope}-0" for slope in (1, 2, 3)}
    assert set(chosen(tmp_path, leave_out=left_out)) == {"ce"}


def test_each_split_is_chosen_for_by_its_own_validation(tmp_path):
    study, runs = planned(tmp_path, settings=GRID, seeds=[0], split_seeds=[0, 5])
    for run in runs:
        slope = run.point.choice.get("objective.slope", 0)
        pretend_trained(run, 0.1 * slope if run.split_seed else -0.1 * slope + 0.9)
    found = {c.split_seed: c.chosen.point for c in choose(study, runs) if c.setting == "sib"}
    assert found == {0: "sib-slope=1", 5: "sib-slope=3"}


def test_a_result_without_its_figure_is_told(tmp_path):
    study, runs = planned(tmp_path)
    for run in runs:
        pretend_trained(run)
    (runs[0].folder / "result.json").write_text(json.dumps({"test": {"accuracy": 1.0}}))
    with pytest.raises(InputError, match="is damaged: it has no validation_accuracy"):
        choose(study, runs)
