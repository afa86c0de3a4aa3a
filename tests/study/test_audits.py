"""A study that audits its runs."""

import hashlib
import json
from io import StringIO

import pytest
from rich.console import Console

from helpers.studies import planned, pretend_evaluated, pretend_trained, written
from sib.study.audits import audit_figures, is_audited
from sib.study.command import next_step
from sib.study.commands import next_command
from sib.study.description import read_study
from sib.study.joined import THEN
from sib.study.selection import choose
from sib.study.summary import summarise
from sib.study.tables import show
from sib.utils.errors import InputError
from sib.utils.files import sha256_of


def pretend_audited(run, exchanged=(0.4, 0.6), worst=0.25):
    """An audit with made-up figures."""
    conditions = {
        "original": {"worst_class": {"mean": 0.5}, "worst_group": {"mean": worst}},
        "exchanged_tiled": entry(exchanged[0]),
        "exchanged_diffusion": entry(exchanged[1]),
        "same_class_tiled": entry(0.9),
        "object_alone": entry(0.7),
        "background_alone_tiled": entry(None),
    }
    (run.folder / "audit.csv").write_text("")
    facts = {
        "format": 1,
        "options": {"split": "test"},
        "weights_sha256": sha256_of(run.weights),
        "images_sha256": hashlib.sha256(b"").hexdigest(),
        "conditions": conditions,
    }
    (run.folder / "audit.json").write_text(json.dumps(facts))


def entry(accuracy):
    return {"accuracy": {"mean": accuracy}, "changed": {"mean": 0.25}}


def test_the_audit_follows_the_evaluation_in_the_same_process(tmp_path):
    _, (run, *_) = planned(tmp_path, audit=True)
    audit = ["audit", str(run.folder), "--root", "data", "--device", "cpu", "--trust-code"]
    command = next_command(run, ("test",))
    assert command[0] == "train" and command.count(THEN) == 2 and command[-7:] == audit
    assert THEN not in next_command(run, ())
    pretend_trained(run)
    pretend_evaluated(run, "test", 0.5, (0.1, 0.2))
    assert next_command(run, ("test",)) == audit
    assert next_command(run, ()) is None
    pretend_audited(run)
    assert next_command(run, ("test",)) is None
    run.weights.write_bytes(b"others")
    assert not is_audited(run.folder, run.weights)
    run.weights.unlink()  # weights may be removed when all is done
    assert is_audited(run.folder, run.weights)
    (run.folder / "audit.csv").write_text("changed")
    assert not is_audited(run.folder, run.weights)


def test_a_study_without_audit_makes_none(tmp_path):
    study, (run, *_) = planned(tmp_path)
    assert not study.audit and "audit" not in next_command(run, ("test",))
    with pytest.raises(InputError, match="audit must be true or false; got 'yes please'"):
        read_study(written(tmp_path, audit="yes please"))


def test_figures_are_means_over_the_ways_of_filling(tmp_path):
    _, (run, *_) = planned(tmp_path)
    assert audit_figures(run.folder) == {}
    pretend_trained(run)
    pretend_audited(run)
    assert audit_figures(run.folder) == {
        "audit_exchanged": pytest.approx(0.5),
        "audit_changed": pytest.approx(0.25),
        "audit_object": pytest.approx(0.7),
        "audit_worst_class": 0.5,
        "audit_worst_group": 0.25,
    }


def test_they_stand_in_the_tables_where_every_run_has_them(tmp_path):
    study, runs = planned(tmp_path, audit=True)
    for run in runs:
        pretend_trained(run)
        pretend_evaluated(run, "test", 0.5, (0.1, 0.2))
    for run in runs[:-1]:
        pretend_audited(run, worst=0.8 if run.setting == "sib" else 0.2)
    assert summarise(study, choose(study, runs), [])["audit"] == []
    pretend_audited(runs[-1], worst=0.8)
    found = summarise(study, choose(study, runs), [])
    assert "audit_worst_group" in found["audit"] and "audit_background" not in found["audit"]
    ce, sib = found["settings"]
    assert ce["figures"]["audit_worst_group"]["mean"] == pytest.approx(0.2)
    assert sib["difference"]["audit_worst_group"]["values"] == [[pytest.approx(0.6)]] * 2
    console = Console(file=StringIO(), width=120)
    show(found, console)
    lines = [line for line in console.file.getvalue().splitlines() if "worst group" in line]
    assert "0.200" in lines[0] and "+0.600" in lines[1]


def test_the_next_step_is_what_has_not_been_done(tmp_path):
    for audit, word in ((False, "audit"), (True, "compare")):
        _, runs = planned(tmp_path, audit=audit)
        first, second = (next(r for r in runs if r.setting == name) for name in ("ce", "sib"))
        assert next_step(runs) == (word, first.config.folder, second.config.folder)
        alone = "report" if audit else "audit"
        assert next_step([first]) == (alone, first.config.folder)
