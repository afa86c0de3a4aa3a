"""The command ``sib``."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape

from sib import __version__, distributed
from sib.cli.console import ConsoleWatcher
from sib.cli.data import DataConfig, data
from sib.cli.demo import DemoConfig, demo
from sib.config.deploy import ExportConfig, PredictConfig
from sib.config.evaluate import CompareConfig, EvaluateConfig, ExplainConfig, ReportConfig
from sib.config.recipes import RecipesConfig, show_recipes
from sib.config.study import StudyConfig
from sib.config.train import TrainConfig
from sib.config.yaml_options import error_behind, expand_config
from sib.distributed.processes import ProcessLost
from sib.evaluation.compare import compare
from sib.evaluation.evaluate import evaluate_and_show
from sib.evaluation.explain import explain
from sib.evaluation.export import export
from sib.evaluation.predict import predict
from sib.report.command import report
from sib.study.command import study
from sib.training.loop import train
from sib.training.step import TrainingFailed
from sib.utils.errors import InputError, ProblemsFound
from sib.utils.signals import Stopped, StoppedAtOnce
from sib.utils.terminal import Terminal, write_what_fits

DESCRIPTION = """Train image classifiers whose explanations fall on the object
(Spatial Information Bottleneck, arXiv 2511.09239).

Exit codes: 0 done; 1 some work failed, the rest is saved; 2 bad input; 130 and 143 stopped by a
signal, after saving."""

COMMANDS: dict[type, Callable[[Any, Console], object]] = {
    TrainConfig: lambda config, console: train(config, ConsoleWatcher(console)),
    DemoConfig: demo,
    EvaluateConfig: evaluate_and_show,
    ExplainConfig: explain,
    CompareConfig: compare,
    ReportConfig: report,
    PredictConfig: predict,
    ExportConfig: export,
    StudyConfig: study,
    RecipesConfig: show_recipes,
    DataConfig: lambda config, console: _data(config, console),
}
NAMES = {
    "train": TrainConfig,
    "demo": DemoConfig,
    "evaluate": EvaluateConfig,
    "explain": ExplainConfig,
    "compare": CompareConfig,
    "report": ReportConfig,
    "predict": PredictConfig,
    "export": ExportConfig,
    "recipes": RecipesConfig,
}
Command = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[EvaluateConfig, tyro.conf.subcommand("evaluate")]
    | Annotated[ExplainConfig, tyro.conf.subcommand("explain")]
    | Annotated[CompareConfig, tyro.conf.subcommand("compare")]
    | Annotated[ReportConfig, tyro.conf.subcommand("report")]
    | Annotated[PredictConfig, tyro.conf.subcommand("predict")]
    | Annotated[ExportConfig, tyro.conf.subcommand("export")]
    | Annotated[StudyConfig, tyro.conf.subcommand("study")]
    | Annotated[DemoConfig, tyro.conf.subcommand("demo")]
    | Annotated[RecipesConfig, tyro.conf.subcommand("recipes")]
    | Annotated[DataConfig, tyro.conf.subcommand("data")]
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    write_what_fits(sys.stdout, sys.stderr)
    console = Terminal()
    complaints = Terminal(stderr=True)
    if arguments == ["--version"]:
        console.print(f"sib {__version__}", highlight=False)
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        code = _run(arguments, console, complaints)
    except (StoppedAtOnce, ProcessLost) as error:  # the others are not waited for
        _complain(complaints, str(error))
        return 1 if isinstance(error, ProcessLost) else 128 + error.number
    distributed.leave()
    return code


def _run(arguments: list[str], console: Console, complaints: Console) -> int:
    try:
        config = parse(arguments)
        if not isinstance(config, TrainConfig):
            distributed.refuse(f"sib {arguments[0]}")
        COMMANDS[type(config)](config, console)
    except InputError as error:
        _complain(complaints, str(error))
        return 2
    except (TrainingFailed, ProblemsFound) as error:
        _complain(complaints, str(error))
        return 1
    except StoppedAtOnce:
        raise
    except Stopped as stop:
        _complain(complaints, str(stop))
        return 128 + stop.number
    except BrokenPipeError:  # the reader of our output has gone, as in `sib … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def parse(arguments: list[str]) -> Any:
    """The configuration of the command that the arguments name.

    Raises:
        InputError: a configuration file, a recipe or a number is not allowed, or nothing says
            what to train on.
        SystemExit: with code 2 for an unknown command or option, 0 after ``--help``.
    """
    if arguments and arguments[0] in NAMES:
        command = arguments[0]
        arguments = [command, *expand_config(NAMES[command], arguments[1:])]
    said = StringIO()
    try:
        with redirect_stderr(said):
            config: Any = tyro.cli(
                Command,  # type: ignore[arg-type]
                prog="sib",
                description=DESCRIPTION,
                args=arguments,
            )
    except SystemExit as stop:
        error = error_behind(stop)
        if error is not None:  # tyro puts a box around it; a sentence is enough
            raise error from None
        if distributed.speaks():
            sys.stderr.write(said.getvalue())
        raise
    if isinstance(config, TrainConfig) and not config.data:
        raise InputError(
            "sib train needs a recipe, such as cub200/resnet50 (sib recipes lists them), or --data "
            "with digits or a folder of images"
        )
    return config


def _data(config: DataConfig, console: Console) -> None:
    try:
        data(config, console)
    except Stopped as stop:
        sentence = "stopped; nothing half-made is left, and the same command does the rest"
        raise Stopped(stop.number, sentence) from None


def _stop(number: int, frame: object) -> None:
    raise StoppedAtOnce(number, "stopped; nothing more was written")


def _complain(console: Console, sentence: str) -> None:
    if distributed.speaks():
        console.print(f"[bold red]sib:[/] {escape(sentence)}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
