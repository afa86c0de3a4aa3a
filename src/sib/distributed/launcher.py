"""What a process knows about its launcher, torchrun, before torch is loaded."""

import os
import signal
import sys

from sib.utils.errors import InputError

LAUNCHED = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}
"""Environment variables that torchrun sets for each process."""


def launched() -> bool:
    """Whether this is one of several processes that torchrun started."""
    return os.environ.keys() >= LAUNCHED and int(os.environ["WORLD_SIZE"]) > 1


def refuse(what: str) -> None:
    """Raise InputError if torchrun started several processes for something that needs one."""
    if launched():
        raise InputError(
            f"{what} runs in one process; torchrun is for sib train, evaluate, explain and audit"
        )


def joined() -> bool:
    """Whether this process is part of a process group; False while torch is not loaded."""
    group = sys.modules.get("torch.distributed")
    return group is not None and group.is_available() and group.is_initialized()


def should_print() -> bool:
    """Whether this process prints output; only the first of a launch does."""
    return not launched() or os.environ["RANK"] == "0"


def should_report() -> bool:
    """Whether this process reports errors: rank 0, or local rank 0 before the group is formed."""
    if joined():
        return sys.modules["torch.distributed"].get_rank() == 0
    return os.environ.get("LOCAL_RANK", "0") == "0"


def leave() -> None:
    """Wait until every process has finished its output, then leave the process group.

    torchrun ends all processes as soon as one has failed, even one that is still writing.
    """
    if joined():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # everything is reported and saved
        group = sys.modules["torch.distributed"]
        group.barrier()
        group.destroy_process_group()
