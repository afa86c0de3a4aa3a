"""``sib data``: its commands behind one."""

from typing import Any

from rich.console import Console

from sib.config.data import (
    CheckConfig,
    DataConfig,
    MakeSpuriousConfig,
    PrepareConfig,
    ShowConfig,
)
from sib.utils.lazy import load
from sib.utils.signals import Stopped

ACTIONS: dict[type, str] = {
    PrepareConfig: "sib.data.prepare:prepare",
    CheckConfig: "sib.data.check:check",
    ShowConfig: "sib.training.show:show",
    MakeSpuriousConfig: "sib.data.spurious.command:make_spurious",
}


def data(config: DataConfig, console: Console) -> None:
    """Run one of the commands.

    Raises:
        InputError: an argument that is not allowed.
        ProblemsFound: ``check`` found some.
        Stopped: a signal ended it.
    """
    action: Any = load(ACTIONS[type(config.command)])
    try:
        action(config.command, console)
    except Stopped as stop:
        sentence = "stopped; nothing half-made is left, and the same command does the rest"
        raise Stopped(stop.number, sentence) from None
