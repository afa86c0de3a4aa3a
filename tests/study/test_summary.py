"""A study's figures, from made-up evaluations whose means are known."""

import json
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from helpers.studies import planned, pretend_evaluated, pretend_trained
from sib.study.front import draw_front, front_figure, front_points
from sib.study.selection import choose
from sib.study.summary import reported_runs, summarise
from sib.study.tables import figure_rows, show
from sib.utils.terminal import Terminal

# accuracy, energies of saliency and vjp
FIGURES = {
    "ce-0": (0.8, (0.2, 0.4)),
    "ce-1": (0.6, (0.3, 0.3)),
    "ce-2": (0.7, (0.1, 0.5)),
    "sib-0": (0.9, (0.5, 0.5)),
    "sib-1": (0.6, (0.4, 0.6)),
    "sib-2": (0.6, (0.6, 0.7)),
}


def summary(tmp_path, leave_out=(), failed=()):
    study, runs = planned(tmp_path, seeds=[0, 1, 2])
    for run in runs:
        if run.name not in leave_out:
            accuracy, energies = FIGURES[run.name]
            pretend_trained(run, 0.5)
            pretend_evaluated(run, "test", accuracy, energies)
    return summarise(study, choose(study, runs), list(failed))


def test_rows_for_programs_hold_numbers_with_all_digits(tmp_path):
    found = summary(tmp_path)
    rows = {(row["setting"], row["minus"], row["figure"]): row for row in figure_rows(found)}
    ce, sib = found["settings"]
    assert rows["ce", "", "accuracy"]["mean"] == pytest.approx(0.7)
    assert rows["sib", "", "vjp"]["mean"] == sib["figures"]["vjp"]["mean"]
    assert rows["sib", "ce", "vjp"]["low"] == sib["difference"]["vjp"]["low"]
    assert len(rows) == 2 * len(ce["figures"]) + len(sib["difference"])


def test_means_intervals_and_paired_differences_by_hand(tmp_path):
    ce, sib = summary(tmp_path)["settings"]
    assert ce["difference"] is None
    assert ce["figures"]["accuracy"]["mean"] == pytest.approx(0.7)
    half = stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3)  # s of 0.8, 0.6, 0.7 is 0.1
    assert ce["figures"]["accuracy"]["high"] == pytest.approx(0.7 + half)
    assert ce["figures"]["mean_energy"]["values"] == [[pytest.approx(0.3)]] * 3
    accuracy, energy = (sib["difference"][name] for name in ("accuracy", "mean_energy"))
    assert np.ravel(accuracy["values"]) == pytest.approx([0.1, 0.0, -0.1])
    assert np.ravel(energy["values"]) == pytest.approx([0.2, 0.2, 0.35])
    oracle = stats.ttest_rel([0.5, 0.5, 0.65], [0.3] * 3).confidence_interval(0.95)
    assert (energy["low"], energy["high"]) == pytest.approx((oracle.low, oracle.high))
    assert np.ravel(sib["difference"]["vjp"]["values"]) == pytest.approx([0.1, 0.3, 0.2])


def test_pairs_that_lack_a_run_are_left_out_of_the_difference(tmp_path):
    ce, sib = summary(tmp_path, leave_out={"ce-1"})["settings"]
    assert ce["figures"]["accuracy"]["seeds"] == 2
    assert sib["figures"]["accuracy"]["seeds"] == 3
    assert np.ravel(sib["difference"]["accuracy"]["values"]) == pytest.approx([0.1, -0.1])


def test_without_its_reference_a_study_has_no_differences(tmp_path):
    ce, sib = summary(tmp_path, leave_out={"ce-0", "ce-1", "ce-2"})["settings"]
    assert ce["figures"] is None and sib["difference"] is None
    assert sib["figures"]["accuracy"]["seeds"] == 3


def test_splits_are_paired_too_and_a_seed_must_have_all_of_them(tmp_path):
    study, runs = planned(tmp_path, split_seeds=[0, 1])
    for run in runs:
        if run.name != "sib-split1-1":
            pretend_trained(run)
            energy = 0.1 * run.seed + 0.2 * run.split_seed + 0.3 * (run.setting == "sib")
            pretend_evaluated(run, "test", 0.5, [energy, energy])
    ce, sib = summarise(study, choose(study, runs), [])["settings"]
    assert np.array(ce["figures"]["vjp"]["values"]) == pytest.approx(
        np.array([[0.0, 0.2], [0.1, 0.3]])
    )
    assert sib["difference"]["vjp"]["values"] == [[pytest.approx(0.3), pytest.approx(0.3)]]


def test_only_chosen_runs_that_were_evaluated_are_reported(tmp_path):
    study, runs = planned(tmp_path, settings={"sib": {"objective": {"slope": [1, 2]}}})
    for run in runs:
        pretend_trained(run, 0.1 * run.point.choice["objective.slope"])
        pretend_evaluated(run, "test", 0.5, [0.1, 0.2])
    found = [run.name for run in reported_runs(choose(study, runs))]
    assert found == ["sib-slope=2-0", "sib-slope=2-1"]


def test_the_tables_show_mean_and_half_width(tmp_path):
    found = summary(tmp_path, leave_out={"ce-1"})
    console = Console(file=StringIO(), width=80)
    show(found, console)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    half = stats.t.ppf(0.975, 1) * np.sqrt(0.005) / np.sqrt(2)  # of 0.8 and 0.7
    assert any(line.startswith(f"accuracy 0.750 ±{half:.3f} 0.700 ±") for line in lines)
    assert "foreground energy, mean +0.275 ±0.953" in lines  # 0.2 and 0.35
    assert "seeds 2 3" in lines and "seeds 2" in lines
    assert "t interval over 2 to 3 seeds" in console.file.getvalue()


def test_many_settings_are_shown_in_tables_that_fit(tmp_path):
    found = summary(tmp_path)
    found["settings"] = [found["settings"][0] | {"name": f"s{n}"} for n in range(7)]
    console = Console(file=StringIO(), width=80)
    show(found, console)
    text = console.file.getvalue()
    assert all(f"s{n}" in text for n in range(7))
    assert max(map(len, text.splitlines())) <= 80


def test_a_pipe_takes_all_settings_in_one_table(tmp_path):
    found = summary(tmp_path)
    found["settings"] = [found["settings"][0] | {"name": f"setting-{n}"} for n in range(9)]
    console = Terminal(file=StringIO(), width=80)
    show(found, console)
    (heads,) = [line for line in console.file.getvalue().splitlines() if "setting-0" in line]
    assert heads.split() == [f"setting-{n}" for n in range(9)]


def test_the_front_holds_what_no_other_setting_beats(tmp_path):
    def setting(name, accuracy, energy):
        entry = {"low": None, "high": None}
        figures = {"accuracy": entry | {"mean": accuracy}, "mean_energy": entry | {"mean": energy}}
        return {"name": name, "figures": figures}

    places = {"a": (0.9, 0.3), "b": (0.8, 0.5), "c": (0.7, 0.4), "$d": (0.9, 0.2)}
    found = {"settings": [setting(name, *place) for name, place in places.items()]}
    points = front_points(found)
    assert [point["name"] for point in points if point["on_front"]] == ["a", "b"]
    assert draw_front(tmp_path / "front.png", found)
    assert (tmp_path / "front.png").read_bytes()[:4] == b"\x89PNG"


def test_an_axis_of_shares_ends_at_0_and_1():
    """Two seeds may have a t interval from −0.5 to 0.8."""
    wide = {"mean": 0.15, "low": -0.5, "high": 0.8}
    point = {"name": "a", "x": wide, "y": wide | {"high": 1.4}, "on_front": True}
    (axis,) = front_figure([point]).axes
    assert axis.get_xlim()[0] == axis.get_ylim()[0] == -0.02
    assert axis.get_xlim()[1] < 1 and axis.get_ylim()[1] == 1.02


def test_without_annotation_there_is_no_front(tmp_path):
    study, runs = planned(tmp_path)
    for run in runs:
        pretend_trained(run)
        pretend_evaluated(run, "test", 0.5, [np.nan, np.nan])
    found = summarise(study, choose(study, runs), [])
    assert found["methods"] == []
    assert set(found["settings"][0]["figures"]) == {"accuracy"}
    assert not draw_front(tmp_path / "front.png", found)
    json.dumps(found, allow_nan=False)
