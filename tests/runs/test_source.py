"""The record of which source made a run."""

import shutil
import subprocess

import pytest

from sib.runs.source import PACKAGE, source
from sib.runs.versions import versions

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=trunk")


def git(root, *arguments):
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=root, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path):
    if shutil.which("git") is None:
        pytest.fail("the tests of the commit need git")
    package = tmp_path / "clone" / "src" / "sib"
    (package / "deeper").mkdir(parents=True)
    (package / "a.py").write_text("a = 1\n")
    (package / "deeper" / "a_longer_name.py").write_text("b = 2\n")
    root = tmp_path / "clone"
    (root / "pyproject.toml").write_text("")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    return root


def fresh(package):
    return source.__wrapped__(package)


def test_a_clone_names_its_commit(clone):
    commit = git(clone, "rev-parse", "HEAD")
    found = fresh(clone / "src" / "sib")
    assert found["commit"] == commit and len(found["source"]) == 16
    git(clone, "pack-refs", "--all")
    git(clone, "gc", "-q")
    assert fresh(clone / "src" / "sib") == found
    git(clone, "checkout", "-q", "--detach")
    assert fresh(clone / "src" / "sib") == found


def test_a_changed_or_an_added_module_is_told(clone):
    commit, package = git(clone, "rev-parse", "HEAD"), clone / "src" / "sib"
    before = fresh(package)["source"]
    (package / "a.py").write_text("a = 2\n")
    assert fresh(package)["commit"] == f"{commit} with changes"
    assert fresh(package)["source"] != before
    (package / "a.py").write_text("a = 1\n")
    assert fresh(package) == {"commit": commit, "source": before}
    (package / "new.py").write_text("")
    assert fresh(package)["commit"] == f"{commit} with changes"
    git(clone, "add", ".")
    assert fresh(package)["commit"] == commit and fresh(package)["source"] != before


def test_a_worktree_names_its_own_commit(clone):
    other = clone.parent / "other"
    git(clone, "worktree", "add", "-q", "-b", "side", str(other))
    (other / "src" / "sib" / "a.py").write_text("a = 3\n")
    git(other, "commit", "-qam", "second")
    found = fresh(other / "src" / "sib")["commit"]
    assert found == git(other, "rev-parse", "HEAD") != git(clone, "rev-parse", "HEAD")


def test_an_installed_copy_inside_another_repository_has_no_commit(clone):
    installed = clone / "venv" / "site-packages" / "sib"
    shutil.copytree(clone / "src" / "sib", installed)
    assert set(fresh(installed)) == {"source"}
    assert fresh(installed)["source"] == fresh(clone / "src" / "sib")["source"]


@pytest.mark.parametrize(
    "head", ["", "ref: refs/../../../etc/passwd", "ref: /etc/passwd", "hello", "ref: refs/heads/no"]
)
def test_a_head_that_names_no_commit_is_left_out(clone, head):
    (clone / ".git" / "HEAD").write_text(head)
    assert set(fresh(clone / "src" / "sib")) == {"source"}


@pytest.mark.parametrize("length", [0, 3, 11, 12, 40, 90])
def test_a_torn_index_does_not_matter(clone, length):
    index = clone / ".git" / "index"
    index.write_bytes(index.read_bytes()[:length])
    assert "with changes" not in fresh(clone / "src" / "sib")["commit"]


def test_the_record_of_a_run_holds_it():
    assert versions()["source"] == fresh(PACKAGE)["source"]
    assert versions().get("commit") == fresh(PACKAGE).get("commit")
