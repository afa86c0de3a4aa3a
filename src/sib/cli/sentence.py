"""What tyro writes into a box about a missing argument, as one sentence."""

import re

FRAME = re.compile("[─-╿]")
"""The characters that boxes are drawn with."""


def in_a_sentence(box: str, program: str) -> str:
    """What is wrong, without a frame and without repeating the help.

    Args:
        box: as tyro wrote it.
        program: the command, such as ``"sib explain"``.

    Example:
        >>> box = "│ Missing from sib explain: │\\n│  RUN │\\n│  A folder. (required) │"
        >>> in_a_sentence(box, "sib explain")
        'sib explain needs RUN: a folder'
    """
    lines = [FRAME.sub(" ", line).strip() for line in box.splitlines()]
    text = " ".join(" ".join(line for line in lines if line).split())
    text = re.split(r"(?:Argument helptext|For full helptext)", text)[0].strip()
    missing = re.search(r"Missing from (.+?): (\S+) (.+?)\.? \(required\)", text)
    if missing:
        below, name, meaning = missing.groups()
        return f"{below} needs {name}: {meaning[0].lower()}{meaning[1:]}"
    unknown = re.search(r"Unrecognized options: ([^-\s]\S*)", text)
    if unknown:
        return f"{program} does not take {unknown[1]!r}"
    return f"{program}: {text.rstrip('.')}"
