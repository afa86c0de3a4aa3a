"""Training: from a configuration to a run folder."""

from sib.training.config import TrainConfig
from sib.training.interrupt import Stopped, StoppedAtOnce
from sib.training.loop import train
from sib.training.step import TrainingFailed

__all__ = ["Stopped", "StoppedAtOnce", "TrainConfig", "TrainingFailed", "train"]
