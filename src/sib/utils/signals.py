"""Stopping a run from outside, without losing a step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """A signal ended the run after its state was saved, or before there was any.

    Like KeyboardInterrupt, it is not an Exception, so code that catches every failure of a decoder,
    say, does not catch it.

    Args:
        number: of the signal.
        sentence: what was saved, and how to continue.
    """

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__(sentence)
        self.number = number


class StoppedAtOnce(Stopped):
    """A signal ended this process where it was; others of the run may not know of it."""


class Interrupt:
    """Whether SIGINT or SIGTERM asked the run to stop; a second one stops at once."""

    def __init__(self) -> None:
        self.number: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals over; only the main thread of a process can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._ask) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise StoppedAtOnce(number, "stopped at once; the last saved state stays")
        self.number = number
