"""``sib train``: a run, shown on the console."""

from rich.console import Console

from sib.cli.console import ConsoleReporter
from sib.config.train import TrainConfig
from sib.training.loop import train as run


def train(config: TrainConfig, console: Console) -> None:
    """Train as `sib.training.loop.train` does, with a line for every stage."""
    run(config, ConsoleReporter(console))
