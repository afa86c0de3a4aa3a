"""What the examples share: a small data set, and a look at where explanations lie.

Put your own data set in place of `load`. The foreground is needed only to measure, or to guide
training with annotation.
"""

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import sib


def load(split: str, size: int) -> TensorDataset:
    """The built-in digits: normalised images (3, 48, 48), labels, foregrounds (1, 48, 48)."""
    samples = list(sib.data.Digits(split, size))
    images = torch.stack([sample.image.as_subclass(Tensor) for sample in samples])
    labels = torch.tensor([sample.label for sample in samples])
    foreground = torch.stack([sample.foreground.as_subclass(Tensor) for sample in samples])
    return TensorDataset(images / 127.5 - 1, labels, foreground)


def measure(model: nn.Module, dataset: TensorDataset) -> dict[str, float]:
    """Accuracy, and the share of saliency that lies on the digit beside that of an even map."""
    images, labels, foreground = dataset.tensors
    foreground = foreground[:, 0]
    model = model.cpu().eval()
    with torch.no_grad():
        logits = model(images)
    logits = getattr(logits, "logits", logits)  # transformers wraps them
    maps = sib.explain.attribute(model, images, method="saliency")
    found = {
        "accuracy": (logits.argmax(1) == labels).float(),
        "energy": sib.metrics.foreground_energy(maps, foreground),  # NaN for a map of zeros
        "even map": sib.metrics.even_energy(foreground),
    }
    return {name: round(values.nanmean().item(), 3) for name, values in found.items()}
