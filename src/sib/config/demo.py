"""The options of ``sib demo``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class DemoConfig:
    """Train cross-entropy and S-IB on the built-in digits, and draw what each looks at."""

    out: Path = Path("demo")
    """Folder for both runs, the picture and the report. Those already in it are replaced."""
    epochs: int = 8
    """Passes over the training images."""
    images: int = 2000
    """Images to train and validate on. A quarter as many are added for the test."""
    objective: Literal["calibrated", "published"] = "calibrated"
    """Objective of the S-IB run."""
    background_strength: float = 0.5
    """How strongly the background predicts the class, 0 to 1."""
    seed: int = 0
    """Seed of both runs."""
    device: str = "auto"
    """Device: auto, cpu, cuda, cuda:N or mps."""
