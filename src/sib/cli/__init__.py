"""The command ``sib``."""

from sib.cli.main import main

__all__ = ["main"]
