"""Processes that find one another in a store where others have been before."""

import threading

import pytest
import torch.distributed as dist

from sib.distributed import rendezvous as module
from sib.distributed.rendezvous import rendezvous


@pytest.fixture
def come(monkeypatch):
    """Let processes come, as threads; gives what each found."""
    shared, own = dist.HashStore(), threading.local()
    monkeypatch.setattr(module, "torch_rendezvous", lambda url: iter([(shared, own.rank, 3)]))

    def process(rank, found, patience):
        own.rank = rank
        try:
            store, _, size = rendezvous(patience)
            store.set(f"address {rank}", f"of {rank}")
            found[rank] = [store.get(f"address {each}") for each in range(size)]
        except (TimeoutError, dist.DistStoreError) as error:
            found[rank] = str(error)

    def run(ranks, patience=20.0):
        found = {}
        threads = [threading.Thread(target=process, args=(rank, found, patience)) for rank in ranks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    run.store = shared
    return run


def test_all_find_the_addresses_of_those_that_came_with_them(come):
    expected = {rank: [b"of 0", b"of 1", b"of 2"] for rank in range(3)}
    for _ in range(3):  # the same store, as after a restart
        assert come([0, 1, 2]) == expected


def test_what_an_unfinished_meeting_left_behind_misleads_nobody(come):
    """Process 2 came twice and 0 once, alone; answers to those arrivals still lie there."""
    come.store.add("sib/arrivals/2", 2)
    for arrival in range(3):
        come.store.set(f"sib/invitation/2/{arrival}", "old")
    come.store.set("old/address 0", "gone")
    assert come([0, 1, 2])[2] == [b"of 0", b"of 1", b"of 2"]


def test_the_first_does_not_wait_for_ever(come):
    assert come([0], patience=0.1)[0] == "processes [1, 2] did not connect"
    assert module.PATIENCE == 1800
