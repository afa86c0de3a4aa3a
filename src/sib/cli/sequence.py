"""``python -m sib A --then B``: several commands one after the other in one process.

A study trains and evaluates a run this way, which loads torch and starts the GPU only once.
"""

import gc
import sys

from sib.cli.main import main as run_command
from sib.study.joined import split
from sib.utils.signals import Stopped


def main(arguments: list[str]) -> int:
    """Run the commands up to the first that fails, and return its exit code.

    Args:
        arguments: of the commands, as ``train --data digits --then evaluate runs/a``.
    """
    for number, command in enumerate(split(arguments)):
        if number:  # whoever started this process has named the first
            print(f"$ sib {' '.join(command)}", flush=True)
            _free_memory()
        sys.argv = ["sib", *command]  # as the records of an evaluation name it
        try:
            code = run_command(command)
        except Stopped as stop:
            return 128 + stop.number
        if code:
            return code
    return 0


def _free_memory() -> None:
    """Give back what the last command held, since other processes may share the GPU."""
    import torch  # seconds, which a single command may do without

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
