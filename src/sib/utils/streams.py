"""Streams that are written to, whatever their encoding."""

from io import TextIOWrapper
from typing import Any


def write_what_fits(*streams: Any) -> None:
    """Let streams of a small encoding write ``?`` for a character that they lack."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
