"""Use a model without changing its state."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sib.functional.label_kinds import kind_of
from sib.models.outputs import in_words, logits_in, warn_if_probabilities


@contextmanager
def gradients_enabled(device: torch.device) -> Iterator[None]:
    """Autograd on, even inside ``torch.no_grad`` and ``torch.inference_mode``; autocast off."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        yield


def device_of(model: nn.Module, images: Tensor) -> torch.device:
    """The device of the model's first parameter, or of the images if it has none."""
    first = next(model.parameters(), None)
    return images.device if first is None else first.device


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """Logits (B, K) of images (B, C, H, W), one for each class that can be explained.

    A single logit z becomes those of its two classes, (−z/2, z/2); see `label_kinds`.
    An output object that contains them, as in the transformers library, is accepted too; see
    `logits_in`. A model that gives probabilities instead causes one warning.

    Raises:
        ValueError: the model gives something else.
    """
    logits = logits_in(model(images))
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
        raise ValueError(
            f"model must give logits (B, K) with B = {len(images)}; got {in_words(logits)}"
        )
    warn_if_probabilities(model, logits)
    return kind_of(model).class_logits(logits)


class LogitsModule(nn.Module):
    """A model as a module that returns only its logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K)."""
        return logits_of(self.model, images)
