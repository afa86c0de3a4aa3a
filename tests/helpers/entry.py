"""The command ``sib`` with an accident on the way: ENTRY names what happens to which process."""

import os
import signal
import sys
import time

import torch

from sib.cli.main import main
from sib.training import loop

torch.set_num_threads(1)
RANK, RESTARTED = int(os.environ["RANK"]), os.environ["TORCHELASTIC_RESTART_COUNT"] != "0"
ACCIDENT = os.environ.get("ENTRY", "")
original = loop.Training._finish_step


def lost_then_told_to_stop(training, seconds):
    """Process 1 dies after step 5; started again, torchrun is told to stop after step 8."""
    original(training, seconds)
    if training.place.step == 5 and RANK == 1 and not RESTARTED:
        os.kill(os.getpid(), signal.SIGKILL)
    if training.place.step == 8 and RANK == 0:
        os.kill(os.getppid(), signal.SIGTERM)
        deadline = time.monotonic() + 30
        while training.interrupt.number is None and time.monotonic() < deadline:
            time.sleep(0.01)


if ACCIDENT:
    loop.Training._finish_step = globals()[ACCIDENT]
sys.exit(main(sys.argv[1:]))
