"""Going on by itself after torchrun has restarted a run of which a process was lost."""

import os
from pathlib import Path


def restarts() -> int:
    """How often torchrun has replaced processes that failed, on this machine alone."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def launch() -> str:
    """A name of this launch of torchrun, the same after a restart; empty without torchrun.

    A restarted process may go on only with a run that this launch began: a run that was there
    before needs --resume, as ever.
    """
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    # "none" is torchrun's own where no --rdzv-id was given; the process that started us is then
    # the same one before and after a restart
    return f"none-{os.getppid()}-{_started(os.getppid())}" if name == "none" else name


def _started(process: int) -> str:
    """When a process started, in the system's ticks; empty where the system does not say."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
