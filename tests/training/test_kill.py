"""SIGKILL at random moments, writes of the state included."""

import pytest

from helpers.killing import run_to_the_end, run_with_kills, what_it_ends_with


def survive(tmp_path, runs, kills):
    seconds = run_to_the_end(tmp_path / "undisturbed")
    expected = what_it_ends_with(tmp_path / "undisturbed")
    killed = 0
    for seed in range(runs):
        out = tmp_path / f"run-{seed}"
        killed += run_with_kills(out, kills, seconds, seed)
        assert what_it_ends_with(out) == expected, f"run {seed}"
    return killed


def test_a_killed_run_ends_as_if_never_stopped(tmp_path):
    assert survive(tmp_path, runs=1, kills=4) >= 1


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_fifty_kills_and_more(tmp_path):
    killed = survive(tmp_path, runs=20, kills=5)
    print(f"{killed} processes killed, every run ended as if never stopped")
    assert killed >= 50
