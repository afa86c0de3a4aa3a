"""What ``sib demo`` can be asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class DemoConfig:
    """Train cross-entropy and S-IB on the built-in digits, and draw what each looks at."""

    out: Path = Path("demo")
    """Folder for both runs, the picture and the report; those in it are replaced."""
    epochs: int = 8
    """Passes over the training images."""
    images: int = 2000
    """Images to train and validate on; a quarter as many to test on."""
    objective: Literal["calibrated", "published"] = "calibrated"
    """Of the S-IB run."""
    background_strength: float = 0.5
    """0 to 1: how strongly the background predicts the class."""
    seed: int = 0
    """Seed of both runs."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
