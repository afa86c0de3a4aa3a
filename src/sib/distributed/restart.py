"""Continue a run automatically after torchrun has replaced a lost process."""

import os
from pathlib import Path


def restarts() -> int:
    """How often torchrun has restarted failed processes on this machine."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def launch() -> str:
    """A name of this launch of torchrun, the same after a restart; empty without torchrun.

    A restarted process may continue only a run that this launch began. An earlier run needs
    --resume, as usual.
    """
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    # "none" is torchrun's default without --rdzv-id; the parent process is then the same before
    # and after a restart
    return f"none-{os.getppid()}-{_started(os.getppid())}" if name == "none" else name


def _started(process: int) -> str:
    """When a process started, in clock ticks; empty if the system does not say."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
