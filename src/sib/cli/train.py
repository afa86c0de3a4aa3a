"""``sib train``: a run, shown on the console."""

from rich.console import Console

from sib import distributed
from sib.cli.console import ConsoleReporter
from sib.config.train import TrainConfig
from sib.training.loop import train as run
from sib.utils.terminal import suggest


def train(config: TrainConfig, console: Console) -> None:
    """Train as `sib.training.loop.train` does, with a line for every stage."""
    result = run(config, ConsoleReporter(console))
    if result is not None and distributed.is_main_process():
        others = [] if config.labels else [("audit", config.folder)]
        suggest(console, ("evaluate", config.folder), *others)
