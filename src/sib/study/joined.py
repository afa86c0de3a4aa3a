"""Several commands as one list of arguments, which a single process runs in turn."""

from collections.abc import Sequence

THEN = "--then"
"""Separates two commands."""

Command = Sequence[str]


def one_after_another(commands: Sequence[Command]) -> Command:
    """Join several commands into one."""
    first, *others = commands
    return [*first, *(word for command in others for word in (THEN, *command))]


def split(joined: Command) -> list[list[str]]:
    """Split what `one_after_another` joined."""
    commands: list[list[str]] = [[]]
    for argument in joined:
        if argument == THEN:
            commands.append([])
        else:
            commands[-1].append(argument)
    return commands
