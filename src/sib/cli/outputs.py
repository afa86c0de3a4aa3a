"""What a command is to write is checked before it reads or trains anything."""

from pathlib import Path
from typing import Any

from sib.utils.outputs import check_output_file, check_output_folder

FILES = (
    *(("report", "out"), ("predict", "out"), ("export", "out")),
    *(("data show", "out"), ("audit", "page")),
)
"""Options that name a file; any other ``--out`` names a folder."""


def check_outputs(command: str, config: Any) -> None:
    """Raise InputError where ``--out`` or ``--page`` cannot be written.

    Args:
        command: its name, with the one below it, such as ``data show``.
        config: its options.
    """
    config = getattr(config, "command", config)  # of the command below it
    paths = {option: getattr(config, option, None) for option in ("out", "page")}
    if command == "train":
        paths["out"] = config.folder  # its default too
    for option, path in paths.items():
        if not isinstance(path, Path):
            continue
        check = check_output_file if (command, option) in FILES else check_output_folder
        check(path, f"--{option}")
