"""Training: from a configuration to a run folder."""

from sib.training.config import TrainConfig
from sib.training.interrupt import Stopped, StoppedAtOnce
from sib.training.loop import TrainingFailed, train

__all__ = ["Stopped", "StoppedAtOnce", "TrainConfig", "TrainingFailed", "train"]
