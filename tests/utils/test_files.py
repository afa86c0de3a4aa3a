"""Files that are whole or not there."""

import os

import pytest

from sib.utils.files import write_together


def test_files_that_belong_together_stay_together_where_one_cannot_be_written(tmp_path):
    table, facts = tmp_path / "a.csv", tmp_path / "a.json"
    write_together({table: "old", facts: b"old"})
    os.mkdir(tmp_path / ".a.json.part")  # nothing can be written under that name
    with pytest.raises(OSError, match="Is a directory"):
        write_together({table: "new", facts: "new"})
    assert table.read_text() == facts.read_text() == "old"
