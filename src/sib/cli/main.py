"""The command ``sib``."""

import errno
import os
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext, redirect_stderr, redirect_stdout
from inspect import cleandoc
from io import StringIO
from types import FrameType
from typing import Annotated, Any, Union

from sib import __version__, distributed
from sib.cli.arguments import EVERYWHERE, described, split_output
from sib.cli.commands import COMMANDS, Command
from sib.cli.flags import check_command
from sib.cli.outputs import check_outputs
from sib.cli.sentence import in_a_sentence
from sib.utils.errors import InputError, ProblemsFound, ProcessLost, ReaderDied, TrainingFailed
from sib.utils.lazy import load
from sib.utils.optional import missing_extra
from sib.utils.signals import Stopped, StoppedAtOnce
from sib.utils.streams import write_what_fits

DESCRIPTION = (
    """Train image classifiers whose explanations fall on the object
(Spatial Information Bottleneck, arXiv 2511.09239).

Exit codes: 0 done; 1 some work failed, the rest is saved; 2 bad input; 130 and 143 stopped by a
signal, after saving.

"""
    + EVERYWHERE
)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, a quota, and a limit on the size of a file."""

IMPORT_SECONDS = 5.0
"""Time that a signal gives an import to end."""
_STOP_BY: dict[int, float] = {}
"""When a signal that came during an import ends the program at the latest."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    write_what_fits(sys.stdout, sys.stderr)
    if arguments == ["--version"]:
        print(f"sib {__version__}")
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        code = _run(arguments)
    except (StoppedAtOnce, ProcessLost) as error:  # the others are not waited for
        _complain(str(error))
        return 1 if isinstance(error, ProcessLost) else 128 + error.number
    distributed.leave()
    return code


def _run(arguments: list[str]) -> int:
    try:
        arguments, output = split_output(arguments)
        config = parse(arguments)
        command = COMMANDS[arguments[0]]
        if distributed.should_print():  # the process that writes
            check_outputs(" ".join(arguments[: 1 + bool(command.below)]), config)
        if not command.several_processes:
            distributed.refuse(f"sib {arguments[0]}")
        from sib.utils.terminal import Terminal

        console = Terminal(
            table_format=output.table_format,
            only_tables=output.quiet,
            quiet=not distributed.should_print(),
        )
        with _translated_losses(command.several_processes):
            load(command.action)(config, console)
        sys.stdout.flush()  # a full disk is noticed here, not at the end of the program
    except InputError as error:
        _complain(str(error))
        return 2
    except (TrainingFailed, ReaderDied, ProblemsFound) as error:
        _complain(str(error))
        return 1
    except StoppedAtOnce:
        raise
    except Stopped as stop:
        _complain(str(stop))
        return 128 + stop.number
    except BrokenPipeError:  # the reader of our output has gone, as in `sib … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # it may be a file there
        _complain(f"writing failed: {error.strerror}; what was written before stays")
        return 1
    except ImportError as error:
        sentence = missing_extra(" ".join(["sib", *arguments[:1]]), error)
        if sentence is None:
            raise
        _complain(sentence)
        return 2
    return 0


def _translated_losses(several_processes: bool) -> AbstractContextManager[None]:
    """Report the end of another process in one sentence, where there can be another process."""
    several = several_processes and distributed.launched()
    return distributed.translate_lost_peer() if several else nullcontext()


def parse(arguments: list[str]) -> Any:
    """The options of the command that the arguments name.

    Raises:
        InputError: an argument is missing, unknown or not allowed, or nothing says what to train
            on.
        SystemExit: with code 0 after ``--help``.
    """
    import tyro  # a tenth of a second, which `sib --version` does without

    from sib.cli.config_files import expand_config
    from sib.cli.help import Narrowed, join_help
    from sib.config.yaml_options import error_behind

    if not arguments:
        raise InputError(f"sib needs a command: {', '.join(COMMANDS)}; sib --help explains all")
    if arguments[0][:1] != "-":
        check_command(arguments[0], COMMANDS)
    command = COMMANDS.get(arguments[0])
    if command is None:
        kind, prog, description = _every_command(), "sib", DESCRIPTION
    else:
        prog, options, rest = _named(command, arguments)
        kind = load(options)
        join_help(kind)
        description = f"{cleandoc(kind.__doc__)}\n\n{EVERYWHERE}"
        arguments = expand_config(kind, rest) if command.reads_files else rest
    said = StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(Narrowed(sys.stdout)):
            config: Any = tyro.cli(
                kind, prog=prog, description=described(description), args=arguments
            )
    except SystemExit as stop:
        error = error_behind(stop)
        if error is not None:  # tyro puts a box around it; a sentence is enough
            raise error from None
        if not stop.code:
            raise
        sentence = in_a_sentence(said.getvalue(), prog)
        raise InputError(f"{sentence}; {prog} --help explains all") from None
    if prog == "sib train" and not config.data:
        raise InputError(
            "sib train needs a recipe, such as cub200/resnet50 (sib recipes lists them), or --data "
            "with digits or a folder of images"
        )
    if command is not None and options in command.below.values():
        return load(command.options)(config)
    return config


def _named(command: Command, arguments: list[str]) -> tuple[str, str, list[str]]:
    """A command or the one below it: its program, the place of its options, its arguments."""
    program = f"sib {arguments[0]}"
    rest = _checked(program, command, arguments[1:])
    if rest and rest[0] in command.below:
        return f"{program} {rest[0]}", command.below[rest[0]], rest[1:]
    return program, command.options, rest


def _checked(program: str, command: Command, arguments: list[str]) -> list[str]:
    """The arguments of a command, or of the one below it that is named, with commas divided."""
    from sib.cli.words import checked  # loads extras

    if not command.below:
        return checked(program, load(command.options), arguments, command.reads_files)
    if not arguments:
        names = ", ".join(command.below)
        raise InputError(f"{program} needs a command: {names}; {program} --help explains all")
    if arguments[0][:1] == "-":
        return arguments
    check_command(arguments[0], command.below, program)
    kind, below = load(command.below[arguments[0]]), f"{program} {arguments[0]}"
    return [arguments[0], *checked(below, kind, arguments[1:], config=False)]


def _every_command() -> Any:
    """The options of all commands, for ``sib --help`` and for what names none of them."""
    import tyro

    return Union[  # noqa: UP007 - the members are known at run time only
        tuple(
            Annotated[load(command.options), tyro.conf.subcommand(name)]
            for name, command in COMMANDS.items()
        )
    ]


def _stop(number: int, frame: FrameType | None) -> None:
    """End the program; an import under way ends first, since libraries catch what is raised there.

    One that takes longer than `IMPORT_SECONDS` is not waited for.
    """
    if _is_importing(frame) and time.monotonic() < _STOP_BY.setdefault(
        number, time.monotonic() + IMPORT_SECONDS
    ):
        again = threading.Timer(0.02, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        return
    raise StoppedAtOnce(number, "stopped; nothing more was written")


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _complain(sentence: str) -> None:
    """One sentence on standard error, also where rich is not installed."""
    if not distributed.should_report():
        return
    named = sentence.startswith("sib ")  # it begins with the command's name
    try:
        from rich.markup import escape

        from sib.utils.terminal import Terminal
    except ImportError:
        print(sentence if named else f"sib: {sentence}", file=sys.stderr)
        return
    console = Terminal(stderr=True)
    head, text = "sib" if named else "sib:", sentence.removeprefix("sib ")
    console.print(f"[bold red]{head}[/] {escape(text)}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
