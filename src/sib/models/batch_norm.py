"""Batch norm that keeps its statistics while all else is trained."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze_batch_norm(model: nn.Module) -> int:
    """Put every batch norm into evaluation mode: its running statistics are used and stay.

    Each channel is then an affine map, y = γ (x − m) / √(v + ε) + β with running mean m and
    variance v; γ and β are trained as before. ``model.train()`` undoes it.

    Args:
        model: in training mode otherwise.

    Returns:
        How many batch norms it has.
    """
    found = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for module in found:
        module.eval()
    return len(found)
