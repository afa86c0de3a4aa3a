"""Existing audits of runs that are compared or reported."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from sib.evaluation.audit.difference import differences
from sib.evaluation.missing import unpacked
from sib.evaluation.stored import AUDIT, Evaluation
from sib.utils.errors import InputError
from sib.utils.files import sha256_of


def present_audits(folders: Sequence[Path], console: Console) -> list[Evaluation]:
    """The audits of runs if all have one; if only some do, none and a sentence.

    Raises:
        InputError: an audit is damaged.
    """
    with ExitStack() as stack:
        places = dict(zip(folders, unpacked(folders, stack), strict=True))
        lacking = [folder for folder, place in places.items() if not AUDIT.exists(place)]
        found = [] if lacking else [AUDIT.read(place) for place in places.values()]
        stale = [item.folder for item in found if _is_stale(item)]
    if stale or 0 < len(lacking) < len(folders):
        why = f"{lacking[0]} was not audited" if lacking else f"{stale[0]} has other weights now"
        _say(console, f"no behaviour, since {why}: run sib audit")
        return []
    return [
        item._replace(folder=folder, run=item.run._replace(path=folder) if item.run else None)
        for item, folder in zip(found, folders, strict=False)
    ]


def _is_stale(audit: Evaluation) -> bool:
    """Whether the weights beside an audit differ from the audited ones."""
    weights = audit.folder / str(audit.facts.get("weights"))
    return weights.is_file() and sha256_of(weights) != audit.facts.get("weights_sha256")


def compare_present(
    folders: Sequence[Path], resamples: int, console: Console
) -> dict[str, Any] | None:
    """The differences of audits if all runs have one of the same images; otherwise None.

    Raises:
        InputError: an audit is damaged.
    """
    audits = present_audits(folders, console)
    if not audits:
        return None
    try:
        return differences(audits, resamples)
    except InputError as error:  # the evaluations are still worth comparing
        _say(console, f"no behaviour: {error}")
        return None


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
