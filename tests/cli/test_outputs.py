"""What cannot be written is refused before anything is read or trained."""

import os

import pytest

from sib.cli.main import main
from sib.utils.errors import InputError
from sib.utils.outputs import check_output_file, check_output_folder

FOLDERS = [
    *("train --data none", "evaluate none.pt", "explain none.pt none.png", "audit none.pt"),
    *("compare none other", "demo", "data make-spurious none"),
]
FILES = ["report none", "predict none.pt none.png", "export none.pt --format pt2", "data show none"]


@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_that_is_a_file_is_refused_first(command, tmp_path, monkeypatch, capsys):
    """The other paths do not exist, so a command that had begun would name them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main([*command.split(), "--out", "file"]) == 2
    assert "--out file is a file; give a folder" in capsys.readouterr().err
    assert main([*command.split(), "--out", "file/below"]) == 2
    assert "--out file/below cannot be created, as" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["file"]


def test_only_the_process_that_writes_checks_the_folder(tmp_path, monkeypatch, capsys):
    """The others may be on machines that do not share it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr("sib.distributed.should_print", lambda: False)
    assert main(["evaluate", "none.pt", "--out", "file"]) == 2
    assert "none.pt does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("command", FILES)
def test_a_file_that_is_a_folder_is_refused_first(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert main([*command.split(), "--out", "folder"]) == 2
    assert "--out folder is a folder; give the name of a file" in capsys.readouterr().err
    assert main([*command.split(), "--out", "file/below.png"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "--out file/below.png cannot be created, as" in said and said.endswith("file is a file")


def test_the_page_and_the_default_folder_are_checked_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["audit", "none.pt", "--page", "."]) == 2
    assert "--page . is a folder" in capsys.readouterr().err
    (tmp_path / "runs").touch()
    assert main(["train", "--data", "none"]) == 2
    assert "runs is a file" in capsys.readouterr().err


def test_what_can_be_written_passes(tmp_path):
    (tmp_path / "old.html").touch()
    check_output_file(tmp_path / "old.html")
    check_output_file(tmp_path / "new" / "page.html")
    check_output_folder(tmp_path)
    check_output_folder(tmp_path / "a" / "b")
    assert os.listdir(tmp_path) == ["old.html"]


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for any user but root
    with pytest.raises(
        InputError, match=r"--out \S+/run cannot be written, as \S+ may not be writ"
    ):
        check_output_folder(tmp_path / "run")
    with pytest.raises(
        InputError, match=r"--out \S+/a.html cannot be written, as \S+ may not be w"
    ):
        check_output_file(tmp_path / "a.html")


def test_a_link_to_nothing_and_a_name_that_is_too_long_are_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="link is a file"):
        check_output_folder(tmp_path / "link")
    with pytest.raises(InputError, match="cannot be used: File name too long"):
        check_output_folder(tmp_path / ("x" * 300))
