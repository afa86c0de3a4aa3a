"""``sib data``: its three commands behind one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import tyro
from rich.console import Console

from sib.data.check import CheckConfig, check
from sib.data.prepare import PrepareConfig, prepare
from sib.data.show import ShowConfig, show


@dataclass(frozen=True)
class DataConfig:
    """Prepare, check or show a data set."""

    command: tyro.conf.OmitArgPrefixes[
        Annotated[PrepareConfig, tyro.conf.subcommand("prepare", prefix_name=False)]
        | Annotated[CheckConfig, tyro.conf.subcommand("check", prefix_name=False)]
        | Annotated[ShowConfig, tyro.conf.subcommand("show", prefix_name=False)]
    ]


COMMANDS: dict[type, Callable[[Any, Console], None]] = {
    PrepareConfig: prepare,
    CheckConfig: check,
    ShowConfig: show,
}


def data(config: DataConfig, console: Console) -> None:
    """Run one of the commands.

    Raises:
        InputError: an argument that is not allowed.
        ProblemsFound: ``check`` found some.
    """
    COMMANDS[type(config.command)](config.command, console)
