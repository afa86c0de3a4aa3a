"""The command ``sib``."""

import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape

from sib import __version__
from sib.console import ConsoleWatcher
from sib.data.commands import DataConfig, data
from sib.demo import DemoConfig, demo
from sib.errors import InputError, ProblemsFound
from sib.training import Stopped, TrainConfig, TrainingFailed, train
from sib.yaml_options import expand_config

DESCRIPTION = """Train image classifiers whose explanations fall on the object
(Spatial Information Bottleneck, arXiv 2511.09239).

Exit codes: 0 done; 1 some work failed, the rest is saved; 2 bad input; 130 and 143 stopped by a
signal, after saving."""

COMMANDS: dict[type, Callable[[Any, Console], object]] = {
    TrainConfig: lambda config, console: train(config, ConsoleWatcher(console)),
    DemoConfig: demo,
    DataConfig: lambda config, console: _data(config, console),
}
NAMES = {"train": TrainConfig, "demo": DemoConfig}
Command = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[DemoConfig, tyro.conf.subcommand("demo")]
    | Annotated[DataConfig, tyro.conf.subcommand("data")]
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    console = Console()
    complaints = Console(stderr=True)
    if arguments == ["--version"]:
        console.print(f"sib {__version__}", highlight=False)
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        config = parse(arguments)
        COMMANDS[type(config)](config, console)
    except InputError as error:
        _complain(complaints, str(error))
        return 2
    except (TrainingFailed, ProblemsFound) as error:
        _complain(complaints, str(error))
        return 1
    except Stopped as stop:
        _complain(complaints, str(stop))
        return 128 + stop.number
    return 0


def parse(arguments: list[str]) -> Any:
    """The configuration of the command that the arguments name.

    Raises:
        InputError: a configuration file or a number is not allowed.
        SystemExit: with code 2 for an unknown command or option, 0 after ``--help``.
    """
    if arguments and arguments[0] in NAMES:
        command = arguments[0]
        arguments = [command, *expand_config(NAMES[command], arguments[1:])]
    return tyro.cli(
        Command,  # type: ignore[arg-type]
        prog="sib",
        description=DESCRIPTION,
        args=arguments,
    )


def _data(config: DataConfig, console: Console) -> None:
    try:
        data(config, console)
    except Stopped as stop:
        sentence = "stopped; nothing half-made is left, and the same command does the rest"
        raise Stopped(stop.number, sentence) from None


def _stop(number: int, frame: object) -> None:
    raise Stopped(number, "stopped before the first step; nothing was written")


def _complain(console: Console, sentence: str) -> None:
    console.print(f"[bold red]sib:[/] {escape(sentence)}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
