"""All trackers of a run behind one object, which catches all their failures."""

import json
import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sib.tracking.registry import Tracker
from sib.utils.files import write_whole

FILE = "tracking.json"
"""File in the run folder: the run's identity in each tracker, and how far each one is."""
FIGURE = "explanations"
Record = dict[str, Any]
FAILED = object()


class Entry(NamedTuple):
    """What is known about a run in one tracker."""

    identity: str | None = None
    epoch: int = 0
    """Last epoch that was sent."""
    failures: int = 0
    """Calls that failed."""


class Trackers:
    """Trackers that follow each epoch; a failure is reported once and counted.

    If the scalars of an epoch could not be sent, they are sent again after the next one, and when
    the run is resumed, so that curves have no gaps.

    Args:
        trackers: by name, not yet open.
        folder: the run folder.
        report: called with a sentence about each tracker's first failure.
    """

    def __init__(
        self, trackers: dict[str, Tracker], folder: Path, report: Callable[[str], object]
    ) -> None:
        self._trackers, self._folder, self._report = trackers, folder, report
        self._entries = {name: Entry() for name in trackers}
        self._is_open: set[str] = set()
        self._reported: set[str] = set()

    def open(self, options: Record, records: Iterable[Record]) -> None:
        """Start or continue the run in each tracker.

        Args:
            options: the run's options, by full name.
            records: records of the finished epochs.
        """
        if not self._trackers:
            return
        done = list(records)
        self._entries |= self._read()
        for name, tracker in self._trackers.items():
            known = self._entries[name]
            identity = self._try(name, partial(tracker.open, self._folder, options, known.identity))
            if identity is not FAILED:
                self._is_open.add(name)
                # epochs that were sent but never saved will be sent again by the run
                last = min(known.epoch, max((r["epoch"] for r in done), default=0))
                self._entries[name] = self._entries[name]._replace(identity=identity, epoch=last)
                self._send(name, done)
        self._write()

    def log_epoch(
        self, records: Callable[[], Iterable[Record]], figure: Callable[[], bytes]
    ) -> None:
        """Send the newest epoch, and earlier ones that were not sent yet.

        Args:
            records: reads the records of all finished epochs.
            figure: draws the explanations of the newest as a PNG; called only if needed.
        """
        if not self._is_open:
            return
        done = list(records())
        for name in self._is_open:
            self._send(name, done)
        self._send_figure(figure, int(done[-1]["step"]))
        self._write()

    def log_result(self, result: Record, step: int) -> None:
        """Send the figures of the test."""
        values = scalars({"test": result["test"]})
        if not self._is_open:
            return
        for name in self._is_open:
            self._try(name, partial(self._trackers[name].log_scalars, values, step))
        self._write()

    def close(self) -> None:
        """Close each tracker, and report how many calls failed."""
        for name in self._is_open:
            self._try(name, self._trackers[name].close)
        if self._trackers:
            self._write()
        self._is_open = set()
        for name in sorted(self._reported & self._trackers.keys()):
            self._report(f"tracker {name}: {self._entries[name].failures} calls failed in all")

    def _send(self, name: str, records: list[Record]) -> None:
        for record in (r for r in records if r["epoch"] > self._entries[name].epoch):
            send = partial(self._trackers[name].log_scalars, scalars(record), int(record["step"]))
            if self._try(name, send) is FAILED:
                return
            self._entries[name] = self._entries[name]._replace(epoch=record["epoch"])

    def _try(self, name: str, action: Callable[[], Any]) -> Any:
        """The result of an action; `FAILED` if it raised an exception."""
        try:
            return action()
        except Exception as error:  # trackers may raise anything, which must not end a run
            entry = self._entries[name]
            self._entries[name] = entry._replace(failures=entry.failures + 1)
            self._report_once(name, f"tracker {name} failed, and the run continues", error)
            return FAILED

    def _send_figure(self, figure: Callable[[], bytes], step: int) -> None:
        try:
            drawn = figure()
        except Exception as error:  # a picture must not end a run either
            self._report_once(FIGURE, "no picture of explanations is tracked", error)
            return
        for name in self._is_open:
            self._try(name, partial(self._trackers[name].log_figure, FIGURE, drawn, step))

    def _report_once(self, name: str, words: str, error: Exception) -> None:
        if name not in self._reported:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._report(f"warning: {words}: {reason}")
            self._reported.add(name)

    def _read(self) -> dict[str, Entry]:
        """What an earlier part of the run left behind."""
        file = self._folder / FILE
        if not file.exists():
            return {}
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return {name: Entry(**entry) for name, entry in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._report(
                f"warning: {file} is damaged, so the trackers show the rest of the run as a new one"
            )
            return {}

    def _write(self) -> None:
        content = {name: entry._asdict() for name, entry in self._entries.items()}
        try:
            write_whole(self._folder / FILE, json.dumps(content, indent=1))
        except OSError as error:
            self._report(f"warning: {self._folder / FILE} cannot be written: {error.strerror}")


def scalars(record: Record, prefix: str = "") -> dict[str, float]:
    """The finite numbers of a record by name; ``/`` separates group and name."""
    found: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            found |= scalars(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and math.isfinite(value):
            found[f"{prefix}{key}"] = float(value)
    return found
