"""Where processes find one another, also after torchrun has started them again."""

import time
import uuid

import torch.distributed as dist

PATIENCE = 1800.0
"""Seconds to wait for the others, torch's own default."""


def rendezvous(patience: float = PATIENCE) -> tuple[dist.Store, int, int]:
    """A store that is empty for all processes that meet now, the rank of this one, their number.

    torchrun keeps one store over its restarts, in which the addresses of processes that are gone
    still lie; a process that reads one of them fails to connect (pytorch#135712). So the first
    process draws a name for this meeting, and gives it to each arrival of the others. Arrivals are
    counted, so that no answer to an earlier one can be taken for it.

    Args:
        patience: seconds to wait.

    Raises:
        TimeoutError: a process did not come.
    """
    store, rank, size = next(dist.rendezvous("env://"))
    if rank == 0:
        name = uuid.uuid4().hex
        _invite(store, name, set(range(1, size)), time.monotonic() + patience)
    else:
        arrival = store.add(f"sib/arrivals/{rank}", 1)
        name = store.get(f"sib/invitation/{rank}/{arrival}").decode()
        store.set(f"{name}/came/{rank}", "")
    return dist.PrefixStore(name, store), rank, size


def _invite(store: dist.Store, name: str, missing: set[int], deadline: float) -> None:
    """Answer the latest arrival of each process until all have had the answer."""
    while missing:
        for rank in sorted(missing):
            latest = store.add(f"sib/arrivals/{rank}", 0)
            store.set(f"sib/invitation/{rank}/{latest}", name)
        missing = {rank for rank in missing if not store.check([f"{name}/came/{rank}"])}
        if missing and time.monotonic() > deadline:
            raise TimeoutError(f"processes {sorted(missing)} did not come")
        time.sleep(0.02)
