"""The trackers by name. One line adds one; other packages add theirs by an entry point."""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from sib.utils.errors import InputError
from sib.utils.nearest import perhaps
from sib.utils.plugins import load_entry_points, names_with_plugins

GROUP = "sib.trackers"
"""Entry-point group by which other packages add trackers."""
NONE = "none"
METHODS = ("open", "log_scalars", "log_figure", "close")
TRACKERS = {
    "tensorboard": "sib.tracking.tensorboard:TensorBoard",
    "wandb": "sib.tracking.wandb:WeightsAndBiases",
    "mlflow": "sib.tracking.mlflow:MLflow",
}
"""The trackers of `sib` itself, as ``"module:class"``. A class takes no arguments, and imports its
library when it is created."""


class Tracker(Protocol):
    """Shows one run. Any exception counts as a failure but does not end the run."""

    def open(self, folder: Path, options: dict[str, Any], identity: str | None) -> str:
        """Start to show a run, or continue.

        Args:
            folder: the run folder; its name is the run's name.
            options: the run's options, by full name.
            identity: what `open` returned when the run was started; None for a new run.

        Returns:
            An identity of the run in the tracker.
        """
        ...

    def log_scalars(self, values: dict[str, float], step: int) -> None:
        """Show numbers by name after a step; ``/`` separates group and name."""
        ...

    def log_figure(self, name: str, png: bytes, step: int) -> None:
        """Show a picture after a step."""
        ...

    def close(self) -> None:
        """Send what is still pending."""
        ...


def tracker_names(track: str) -> list[str]:
    """Parse the value of ``--track``.

    Args:
        track: ``"none"``, or names separated by commas.

    Raises:
        InputError: a name is unknown or given twice.
    """
    if track == NONE:
        return []
    names = track.split(",")
    known = names_with_plugins(TRACKERS, GROUP)
    for name in names:
        if name not in known:
            raise InputError(
                f"--track {name!r} is unknown{perhaps(name, known)}; allowed are {NONE} and "
                f"{', '.join(known)}, separated by commas"
            )
    if len(set(names)) < len(names):
        raise InputError(f"--track has a duplicate: {track}")
    return names


def load_tracker(name: str) -> Tracker:
    """Create a tracker, not yet open.

    Raises:
        InputError: its library is not installed, or another package's tracker cannot be loaded.
    """
    if name in TRACKERS:
        module, _, cls = TRACKERS[name].partition(":")
        return getattr(import_module(module), cls)()
    found: Any = load_entry_points(GROUP)[name]
    if not isinstance(found, type) or not all(hasattr(found, name) for name in METHODS):
        raise InputError(
            f"{GROUP}: {name!r} must be a class with open, log_scalars, log_figure and close"
        )
    return found()
