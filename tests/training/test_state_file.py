"""Saved states: whole, or recognised as torn with the one before at hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sib.runs.folder import RunFolder
from sib.runs.state_file import FORMAT, TRAILER, TornState, previous_path, read_state, write_state
from sib.utils.errors import InputError


def state(step):
    weights = {"weight": torch.full((50,), float(step))}
    rest = {"epoch": 0, "best": {}, "optimizer": {}, "processes": []}
    return {"format": FORMAT, "step": step, "model": weights, **rest}


def test_the_newest_is_read_and_the_one_before_is_kept(tmp_path):
    path = tmp_path / "state.pt"
    for step in (1, 2, 3):
        write_state(path, state(step))
    assert read_state(path)["step"] == 3
    assert read_state(previous_path(path))["step"] == 2
    assert torch.equal(read_state(path)["model"]["weight"], torch.full((50,), 3.0))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state-before.pt", "state.pt"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_cut_and_any_flipped_bit_is_noticed(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("state") / "state.pt"
    write_state(path, state(1))
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        damaged = whole.copy()
        damaged[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(damaged)
    with pytest.raises(TornState, match="is damaged"):
        read_state(path)


def test_a_torn_state_gives_way_to_the_one_before_with_a_word(tmp_path):
    run = RunFolder(tmp_path)
    run.save_state(state(7))
    run.save_state(state(8))
    content = (tmp_path / "state.pt").read_bytes()
    (tmp_path / "state.pt").write_bytes(content[:-TRAILER] + b"x" * TRAILER)
    assert run.load_state()["step"] == 7
    assert "its checksum does not fit; continuing from the state before it, step 7" in run.warning


def test_a_stop_between_the_two_renames_leaves_the_one_before(tmp_path):
    run = RunFolder(tmp_path)
    run.save_state(state(7))
    (tmp_path / "state.pt").rename(tmp_path / "state-before.pt")
    assert run.load_state()["step"] == 7
    assert run.warning is None


def test_no_state_and_no_whole_state(tmp_path):
    run = RunFolder(tmp_path)
    assert run.load_state() is None
    for name in ("state.pt", "state-before.pt"):
        (tmp_path / name).write_bytes(b"torn")
    with pytest.raises(InputError, match=r"state\.pt is damaged.* no state before it to continue"):
        run.load_state()


def test_another_format_is_refused_not_misread(tmp_path):
    run = RunFolder(tmp_path)
    run.save_state(state(1) | {"format": 99})
    with pytest.raises(InputError, match=r"state\.pt has format 99, and this sib reads 1"):
        run.load_state()


def test_a_state_that_cannot_be_written_leaves_the_others(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    write_state(path, state(1))
    write_state(path, state(2))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        write_state(path, state(3))
    assert (read_state(path)["step"], read_state(previous_path(path))["step"]) == (2, 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state-before.pt", "state.pt"]
