"""Packing a study: nothing of it lost, nothing of the machine in it, and figures as before."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from helpers.studies import planned, pretend_evaluated, pretend_trained
from sib.cli.main import main
from sib.runs.archive import archive_of
from sib.runs.archive_file import read_archive
from sib.study.packing import pack, without_places
from sib.study.plan import with_archive
from sib.utils.errors import InputError

STUDIES = Path(__file__).parents[2] / "studies"


def finished_study(folder, monkeypatch, **changes):
    """A study whose runs are all there, described without an absolute path."""
    monkeypatch.chdir(folder)
    study, runs = planned(Path(), out="out", **changes)
    for number, run in enumerate(runs):
        pretend_trained(run, validation=0.5 + number / 100)
        if len(study.settings[0].points) == 1:
            pretend_evaluated(run, "test", 0.5, [0.1 * (number + 1), 0.3])
    return study, runs


def content(folder):
    names = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}


def test_every_record_is_packed_as_it_is_and_no_weights_nor_anything_else(tmp_path, monkeypatch):
    study, runs = finished_study(tmp_path, monkeypatch)
    for name in ("state.pt", ".lock", "last.safetensors", "explanations/photo.png", "a.part"):
        (runs[0].folder / name).parent.mkdir(exist_ok=True)
        (runs[0].folder / name).write_bytes(b"not to be packed")
    (study.out / "study.json").write_text("{}")
    (study.out / "report.html").write_text("<p>")
    archive, count, left_out = pack(study.out)
    assert (archive, count, left_out) == (Path("out.tar.xz"), 4, [])
    held = dict(read_archive(archive))
    assert held.items() <= content(study.out).items()
    records = ["config.yaml", "environment.json", "evaluation.csv", "evaluation.json"]
    wanted = {f"runs/{run.name}/{name}" for run in runs for name in [*records, "result.json"]}
    assert held.keys() == wanted | {"study.json"}
    first = archive.read_bytes()
    pack(study.out)
    assert archive.read_bytes() == first


def test_packing_again_keeps_what_only_the_archive_has(tmp_path, monkeypatch):
    study, runs = finished_study(tmp_path, monkeypatch)
    pack(study.out)
    before = dict(read_archive(archive_of(study.out)))
    shutil.rmtree(runs[0].folder)
    (runs[1].folder / "result.json").unlink()  # it is being trained again
    (runs[2].folder / "result.json").write_text('{"validation_accuracy": 0.9}')
    (runs[2].folder / "evaluation.csv").unlink()
    _, count, left_out = pack(study.out)
    after = dict(read_archive(archive_of(study.out)))
    assert count == 4 and left_out == [runs[1].name]
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    again = f"runs/{runs[2].name}"
    assert changed == {f"{again}/result.json", f"{again}/evaluation.csv"}


def test_nothing_that_has_ended_is_told(tmp_path):
    study, (run, *_) = planned(tmp_path)
    pretend_trained(run)
    (run.folder / "result.json").unlink()
    with pytest.raises(InputError, match="holds no run that has ended, so there is nothing"):
        pack(study.out)
    assert not archive_of(study.out).exists()


def test_where_files_lay_and_which_machine_it_was_is_left_out():
    environment = {"launch": "node7:29400", "host": "node7", "versions": {"sib": "1"}, "x": 0.1}
    evaluation = {
        "command": [
            "sib",
            "evaluate",
            "/home/me/runs/ce-0",
            "--root=/data/sets",
            "--split",
            "test",
        ],
        "file": r"C:\me\study.yaml",
        "split_rule": "test: the folder's own; 0.2 of each",
    }
    found = without_places(Path("environment.json"), json.dumps(environment).encode())
    assert json.loads(found) == {"versions": {"sib": "1"}, "x": 0.1}
    found = without_places(Path("evaluation.json"), json.dumps(evaluation).encode())
    command = ["sib", "evaluate", "ce-0", "--root=sets", "--split", "test"]
    assert json.loads(found) == evaluation | {"command": command, "file": "study.yaml"}
    data = {"path": "/home/me/birds", "masks_path": "/home/me/masks", "given": "birds"}
    found = without_places(Path("environment.json"), json.dumps({"data": data}).encode())
    assert json.loads(found)["data"] == {"path": "birds", "masks_path": "masks", "given": "birds"}
    skipped = {"skipped": ["/home/me/birds/a.png cannot be read as an image"]}
    found = without_places(Path("evaluation.json"), json.dumps(skipped).encode())
    assert json.loads(found) == {"skipped": ["a.png cannot be read as an image"]}
    config = {"data": "digits", "out": "/home/me/runs/ce-0", "root": "~/data", "seed": 0}
    found = without_places(Path("config.yaml"), yaml.safe_dump(config).encode())
    assert yaml.safe_load(found) == config | {"out": "ce-0", "root": "data"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.yaml", "data: /home/me/images\n"),
        ("config.yaml", "input: {masks: ~/masks}\n"),
        ("environment.json", '{"data": {"note": "read from /home/me/images today"}}'),
        ("evaluation.csv", "image,label\n/home/me/a.png,0\n"),
        ("metrics.jsonl", '{"skipped": ["/home/me/a.png"]}\n'),
    ],
)
def test_a_path_that_matters_is_refused_rather_than_changed(name, text):
    with pytest.raises(InputError, match=r"holds the absolute path .*me|masks.*; records are"):
        without_places(Path(name), text.encode())


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("config.yaml", b"[", "is damaged"),
        ("result.json", b"{", "is damaged"),
        ("evaluation.csv", b"\xff", "is damaged"),
    ],
)
def test_a_damaged_record_is_not_packed(name, data, reason):
    with pytest.raises(InputError, match=reason):
        without_places(Path(name), data)


def test_the_tables_of_a_packed_study_need_neither_folder_nor_images(tmp_path, monkeypatch, capsys):
    study, _ = finished_study(tmp_path, monkeypatch)
    assert main(["study", "study.yaml", "--finished", "--pack"]) == 0
    before = capsys.readouterr().out
    assert "packed the records of 4 runs into out.tar.xz, without weights" in before
    found = (study.out / "study.json").read_text()
    shutil.rmtree(study.out)
    without_data = Path("study.yaml").read_text().replace("data: digits", "data: no_such_images")
    assert main(["study", "study.yaml", "--finished"]) == 0
    after = capsys.readouterr().out
    assert (study.out / "study.json").read_text() == found
    assert sorted(path.name for path in study.out.iterdir()) == [
        "front.png",
        "report.html",
        "study.json",
    ]
    tables = before[before.index("on test") : before.index("Mean ±")]
    assert tables in after and "ce" in tables
    Path("study.yaml").write_text(without_data)  # another configuration stays refused
    assert main(["study", "study.yaml", "--finished"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("sib: out/runs/ce-0 was started with different options: data was ")


def test_images_that_are_not_there_do_not_keep_a_study_from_its_tables(
    tmp_path, monkeypatch, capsys
):
    finished_study(tmp_path, monkeypatch, data="no_such_images")
    assert main(["study", "study.yaml", "--finished"]) == 0
    text = capsys.readouterr().out
    assert "4 of 4 runs in study.yaml are finished" in text and "no images in the report" in text
    assert main(["study", "study.yaml"]) == 2  # only what runs needs them


def test_a_packed_study_lists_its_runs_as_finished_and_a_dry_run_writes_nothing(
    tmp_path, monkeypatch, capsys
):
    study, _ = finished_study(tmp_path, monkeypatch)
    pack(study.out)
    shutil.rmtree(study.out)
    planned(Path(), out="out", seeds=[0, 1, 2])
    assert main(["study", "study.yaml", "--dry-run"]) == 0
    assert "4 finished; 2 to be done" in capsys.readouterr().out
    assert not study.out.exists()


def test_a_packed_study_continues_from_its_archive(tmp_path, monkeypatch, capsys):
    study, _ = finished_study(tmp_path, monkeypatch)
    pack(study.out)
    held = dict(read_archive(archive_of(study.out)))
    shutil.rmtree(study.out)
    assert main(["study", "study.yaml"]) == 0  # everything is done, so nothing is started
    restored = content(study.out)
    assert held.items() <= restored.items()
    assert not any(name.startswith("logs/") for name in restored)
    assert "foreground energy, mean" in capsys.readouterr().out


def test_grid_points_that_were_not_chosen_count_without_their_weights(tmp_path, monkeypatch):
    grid = {"a": {"method": "ce", "optimizer": {"learning_rate": [1e-3, 1e-2]}}}
    study, runs = finished_study(tmp_path, monkeypatch, settings=grid)
    pack(study.out)
    shutil.rmtree(study.out)
    with with_archive(study, runs) as known:
        from sib.study.selection import choose

        (choice,) = choose(study, known)
    assert choice.incomplete == () and len(choice.others) == 1


def test_run_folders_of_an_archive_are_compared_and_reported(tmp_path, monkeypatch, capsys):
    study, runs = finished_study(tmp_path, monkeypatch)
    pack(study.out)
    names = [str(run.folder) for run in runs[:2]]
    assert main(["compare", *names, "--out", "with"]) == 0
    shutil.rmtree(study.out)
    assert main(["compare", *names, "--out", "without"]) == 0
    found = Path("without/comparison.json").read_text()
    assert found == Path("with/comparison.json").read_text()
    assert main(["compare", *(f"out.tar.xz/runs/{run.name}" for run in runs[:2])]) == 0
    assert main(["report", *names]) == 0
    assert "out/runs/ce-0" in Path("report.html").read_text()
    capsys.readouterr()
    assert main(["compare", names[0], "out/runs/none-0"]) == 2
    assert "sib: out/runs/none-0 does not exist" in capsys.readouterr().err
    assert main(["evaluate", names[0]]) == 2
    assert "out.tar.xz holds out/runs/ce-0 without its weights" in capsys.readouterr().err
    assert not study.out.exists()


@pytest.mark.parametrize("archive", sorted(STUDIES.glob("results/*.tar.xz")), ids=lambda p: p.name)
def test_each_archive_of_the_project_is_whole(archive):
    records = dict(read_archive(archive))
    runs = {"/".join(name.split("/")[:2]) for name in records if name.startswith("runs/")}
    assert runs and "study.json" in records
    for run in runs:
        files = ("config.yaml", "environment.json", "metrics.jsonl", "result.json")
        assert all(f"{run}/{name}" in records for name in files)
    for name, data in records.items():
        assert without_places(Path(name), data) == data


def test_the_project_has_all_of_its_runs():
    archives = sorted(STUDIES.glob("results/*.tar.xz"))
    names = [(a.name, name) for a in archives for name, _ in read_archive(a)]
    assert len(archives) >= 8
    assert sum(name.endswith("/config.yaml") for _, name in names) >= 111
