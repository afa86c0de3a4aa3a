"""TensorBoard: event files in the run folder."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from sib.utils.optional import import_optional

FOLDER = "tensorboard"


class TensorBoard:
    """Event files in ``RUN/tensorboard``; ``tensorboard --logdir runs`` shows them.

    A resumed run adds a file to the folder, and TensorBoard shows all files of a folder as one run.
    """

    def __init__(self) -> None:
        import_optional("tensorboard", "tensorboard")
        self._writer: Any = None

    def open(self, folder: Path, options: dict[str, Any], identity: str | None) -> str:
        """Open an event file; a new one holds the options as text."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / FOLDER))
        if identity is None:
            rows = [f"| {name} | {value} |" for name, value in options.items()]
            self._writer.add_text("options", "\n".join(["| option | value |", "|---|---|", *rows]))
        return FOLDER

    def log_scalars(self, values: dict[str, float], step: int) -> None:
        """Add each number to its curve, and flush, so that a stop loses none."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def log_figure(self, name: str, png: bytes, step: int) -> None:
        """Add a picture."""
        from PIL import Image

        pixels = np.asarray(Image.open(BytesIO(png)).convert("RGB"))
        self._writer.add_image(name, pixels, step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
