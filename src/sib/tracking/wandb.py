"""Weights & Biases, configured by its own environment variables."""

import os
import uuid
from io import BytesIO
from pathlib import Path
from typing import Any

from sib.utils.optional import import_optional

PROJECT = "sib"


class WeightsAndBiases:
    """A run of Weights & Biases, in the project ``WANDB_PROJECT`` or else ``sib``.

    ``WANDB_MODE=offline`` writes into the run folder, without network; ``wandb sync`` sends it.
    """

    def __init__(self) -> None:
        self._library = import_optional("wandb", "wandb")
        self._run: Any = None

    def open(self, folder: Path, options: dict[str, Any], identity: str | None) -> str:
        """Start the run, or continue the one with that identity."""
        identity = identity or uuid.uuid4().hex[:12]
        self._run = self._library.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=folder.name,
            id=identity,
            resume="allow",
            dir=str(folder),
            config=options,
            settings=self._library.Settings(console="off", quiet=True),
        )
        return identity

    def log_scalars(self, values: dict[str, float], step: int) -> None:
        """Log all numbers in one step."""
        self._run.log(values, step=step)

    def log_figure(self, name: str, png: bytes, step: int) -> None:
        """Log a picture."""
        from PIL import Image

        self._run.log({name: self._library.Image(Image.open(BytesIO(png)))}, step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()
