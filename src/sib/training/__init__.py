"""Training: from a configuration to a run folder."""

from sib.config.train import TrainConfig
from sib.training.loop import train
from sib.utils.errors import TrainingFailed
from sib.utils.signals import Stopped, StoppedAtOnce

__all__ = ["Stopped", "StoppedAtOnce", "TrainConfig", "TrainingFailed", "train"]
