"""The command on tiny real runs: what is done once, what fails, what is gone on with."""

import json
import os
import re
import shutil
import signal
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from helpers.processes import command, fork_the_pool
from helpers.studies import COMMON, EVALUATE, written
from sib.cli.main import main
from sib.utils.locks import FolderLock

SETTINGS = {
    "ce": {"method": "ce"},
    "broken": {"method": "ce", "optimizer": {"learning_rate": 1e30}, "bad_steps": 2},
    "sib": {"method": "sib", "objective": {"background_weight": [1e3, 1e5]}},
}


@pytest.fixture(scope="module", autouse=True)
def _forked():
    """The processes of a study start from this one; test_sequence.py starts real ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        fork_the_pool(patch)
        yield


@pytest.fixture(scope="module")
def finished(_forked, tmp_path_factory):
    """A study of one seed whose setting ``broken`` fails; not to be written into."""
    folder = tmp_path_factory.mktemp("study")
    file = written(folder, settings=SETTINGS, seeds=[0], choose_by="foreground_energy", parallel=2)
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["study", str(file)])
    return folder, SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


@pytest.fixture
def copied(finished, tmp_path):
    """The same for a test to work in: its file, whose ``out`` is the copy, and its folder."""
    folder, _ = finished
    out = shutil.copytree(folder / "out", tmp_path / "out")
    options = {"settings": SETTINGS, "seeds": [0], "choose_by": "foreground_energy"}
    return lambda **changes: (written(tmp_path, **options | changes), out)


def said(capsys):
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_failed_run_is_named_with_its_logs_last_line_and_the_others_are_done(finished):
    folder, process = finished
    assert process.returncode == 1, process.stderr
    (line,) = process.stderr.splitlines()
    assert line.startswith("sib: 1 of 4 runs failed, the others are done: broken-0: the loss (")
    assert "was not finite in 2 steps in a row" in line
    assert line.endswith(f"({folder}/out/logs/broken-0.log)")
    assert re.search(r"failed broken-0: .* \(\d of 4\)\n", process.stdout)
    assert re.search(r"done ce-0 \(\d of 4\)\n", process.stdout)


def test_the_results_are_a_table_a_file_a_figure_and_a_page(finished):
    folder, process = finished
    found = json.loads((folder / "out" / "study.json").read_text())
    by_name = {item["name"]: item for item in found["settings"]}
    assert by_name["broken"]["runs"] == [] and by_name["broken"]["figures"] is None
    evaluation = json.loads((folder / "out" / "runs" / "ce-0" / "evaluation.json").read_text())
    energies = [row["energy_pointing_game"]["mean"] for row in evaluation["table"].values()]
    (run,) = by_name["ce"]["runs"]
    assert run["accuracy"] == evaluation["accuracy"]["mean"]
    assert run["mean_energy"] == pytest.approx(sum(energies) / 2)
    assert found["methods"] == EVALUATE["methods"]
    assert "foreground energy, mean" in process.stdout and "minus ce" in process.stdout
    assert (folder / "out" / "front.png").exists()
    assert "cross-entropy" in (folder / "out" / "report.html").read_text()
    assert len(found["failed"]) == 1


def test_of_a_grid_the_better_on_validation_alone_is_evaluated_on_test(finished):
    folder, _ = finished
    energies, tested = {}, []
    for run in sorted((folder / "out" / "runs").glob("sib-*")):
        table = json.loads((run / "validation" / "evaluation.json").read_text())["table"]
        means = [row["energy_pointing_game"]["mean"] for row in table.values()]
        energies[run.name] = sum(means) / len(means)
        tested += [run.name] * (run / "evaluation.json").exists()
    assert len(energies) == 2
    assert tested == [max(energies, key=energies.__getitem__)]


def test_finished_runs_are_not_done_again(copied, capsys):
    settings = {name: SETTINGS[name] for name in ("ce", "sib")}
    file, out = copied(settings=settings)
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*.*")}
    (out / "study.json").unlink()
    assert main(["study", str(file)]) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*.*")} == before
    assert (out / "study.json").exists()
    assert "done ce-0" not in said(capsys)[0]


def test_a_dry_run_lists_what_is_done_and_writes_nothing(copied, capsys):
    file, out = copied(seeds=[0, 1])
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert main(["study", str(file), "--dry-run", "--parallel", "3"]) == 0
    text, _ = said(capsys)
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines()}
    assert lines["ce-0"] == "finished" and lines["broken-0"] == "interrupted"
    assert lines["sib-background_weight=1000.0-0"] == "finished" and lines["ce-1"] == "to be done"
    assert "8 runs in " in text and "3 finished; 1 interrupted; 4 to be done. 3 at a time" in text
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_what_is_finished_is_reported_beside_a_running_study_and_nothing_is_started(copied, capsys):
    file, out = copied(seeds=[0, 1])
    for name in ("study.json", "front.png", "report.html"):
        (out / name).unlink()
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    lock = FolderLock(out)  # as a study at work has it
    lock.acquire()
    assert main(["study", str(file), "--finished"]) == 0
    lock.release()
    text, _ = said(capsys)
    assert "1 of 8 runs in " in text
    found = json.loads((out / "study.json").read_text())
    assert found["interval"] == "One run per setting: nothing is known about other seeds."
    by_name = {item["name"]: item for item in found["settings"]}
    assert by_name["ce"]["figures"]["accuracy"]["seeds"] == 1
    assert by_name["sib"]["figures"] is None  # its grid lacks a seed, so nothing can be chosen
    assert (out / "front.png").exists() and (out / "report.html").exists()
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")} == before


def test_nothing_finished_to_report_is_told(tmp_path, capsys):
    file = written(tmp_path)
    assert main(["study", str(file), "--finished"]) == 2
    assert "holds no finished run of" in said(capsys)[1]
    assert not (tmp_path / "out").exists()
    assert main(["study", str(file), "--finished", "--dry-run"]) == 2
    assert "--dry-run and --finished cannot be combined" in said(capsys)[1]


def test_a_changed_configuration_is_refused_before_anything_runs(copied, capsys):
    file, out = copied(common=COMMON | {"batch_size": 8}, seeds=[0, 1])
    assert main(["study", str(file)]) == 2
    _, error = said(capsys)
    assert (
        f"sib: {out}/runs/ce-0 was started with different options: batch_size was 16 and is 8; "
        in error
    )
    assert not (out / "runs" / "ce-1").exists()


def test_a_second_study_in_the_folder_is_refused_with_the_firsts_process(tmp_path, capsys):
    file = written(tmp_path)
    (tmp_path / "out").mkdir()
    lock = FolderLock(tmp_path / "out")
    lock.acquire()
    assert main(["study", str(file)]) == 2
    _, error = said(capsys)
    assert f"sib: {tmp_path}/out is in use by process {os.getpid()} on " in error
    assert error.endswith("wait for it, or name another folder under out\n")
    lock.release()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"colour": 1}, "study.yaml: colour is not an option of a study"),
        ({"settings": {"a": {"arch": "resnet17"}}}, "study.yaml: settings.a: "),
        ({"data": "./none"}, "study.yaml: "),
    ],
)
def test_bad_input_ends_with_2_and_leaves_no_folder(tmp_path, capsys, changes, sentence):
    assert main(["study", str(written(tmp_path, **changes))]) == 2
    _, error = said(capsys)
    assert error.startswith("sib: ") and sentence in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path, capsys):
    (tmp_path / "out").write_text("a file")
    assert main(["study", str(written(tmp_path))]) == 2
    assert "study.yaml: out " in said(capsys)[1]


def test_parallel_must_be_at_least_one(tmp_path, capsys):
    assert main(["study", str(written(tmp_path)), "--parallel", "0"]) == 2
    assert "--parallel must be at least 1; got 0" in said(capsys)[1]


def test_ctrl_c_saves_the_runs_and_the_same_command_goes_on(tmp_path):
    file = written(
        tmp_path, settings={"ce": {"method": "ce"}}, seeds=[0], common=COMMON | {"epochs": 60}
    )
    run = tmp_path / "out" / "runs" / "ce-0"
    process = command(["study", str(file)], tmp_path, session=True)
    while not (run / "last.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    code, error = process.wait(), (tmp_path / "stderr").read_text()
    assert code == 130, error
    assert error == (
        "sib: stopped; 0 of 1 runs are trained and what the others had reached is saved: the same "
        "command continues\n"
    )
    assert (
        "is saved: continue with --resume" in (tmp_path / "out" / "logs" / "ce-0.log").read_text()
    )
    lock = FolderLock(run)
    lock.acquire()  # nothing works on it any more
    lock.release()
    began, epochs = (run / "environment.json").stat().st_mtime_ns, records(run)
    assert 0 < len(epochs) < 60
    assert main(["study", str(file)]) == 0
    assert (run / "environment.json").stat().st_mtime_ns == began
    assert len(records(run)) == 60 and records(run)[: len(epochs)] == epochs


def records(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_file_of_the_documentation_is_a_study(tmp_path, monkeypatch, capsys):
    text = (Path(__file__).parents[2] / "docs" / "study.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(example)
    assert main(["study", "study.yaml", "--dry-run"]) == 0
    listed = said(capsys)[0]
    assert f"runs in {yaml.safe_load(example)['out']}: " in listed and "to be done" in listed
    count = re.search(r"(\d+) runs in", listed)[1]
    assert f"{count} runs" in text  # as the page says
