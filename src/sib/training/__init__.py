"""Training: from a configuration to a run folder."""

from sib.training.config import TrainConfig
from sib.training.interrupt import Stopped
from sib.training.loop import TrainingFailed, train

__all__ = ["Stopped", "TrainConfig", "TrainingFailed", "train"]
