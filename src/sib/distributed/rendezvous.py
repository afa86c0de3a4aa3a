"""Where processes find each other, even after torchrun has restarted them."""

import time
import uuid

from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous as torch_rendezvous

PATIENCE = 1800.0
"""Seconds to wait for the others, torch's own default."""


def rendezvous(patience: float = PATIENCE) -> tuple[Store, int, int]:
    """An empty store for the processes that meet now, the rank of this one, and their number.

    torchrun keeps one store across restarts. It still holds the addresses of lost processes, and a
    process that reads one of them fails to connect (pytorch#135712). So the first process draws a
    name for this meeting and sends it in reply to each arrival of the others. Arrivals are counted,
    so that a reply to an earlier arrival is never mistaken for the current one.

    Args:
        patience: seconds to wait.

    Raises:
        TimeoutError: a process did not connect.
    """
    store, rank, size = next(torch_rendezvous("env://"))
    if rank == 0:
        name = uuid.uuid4().hex
        _invite(store, name, set(range(1, size)), time.monotonic() + patience)
    else:
        arrival = store.add(f"sib/arrivals/{rank}", 1)
        name = store.get(f"sib/invitation/{rank}/{arrival}").decode()
        store.set(f"{name}/came/{rank}", "")
    return PrefixStore(name, store), rank, size


def _invite(store: Store, name: str, missing: set[int], deadline: float) -> None:
    """Reply to the latest arrival of each process until all have received the reply."""
    while missing:
        for rank in sorted(missing):
            latest = store.add(f"sib/arrivals/{rank}", 0)
            store.set(f"sib/invitation/{rank}/{latest}", name)
        missing = {rank for rank in missing if not store.check([f"{name}/came/{rank}"])}
        if missing and time.monotonic() > deadline:
            raise TimeoutError(f"processes {sorted(missing)} did not connect")
        time.sleep(0.02)
