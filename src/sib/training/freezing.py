"""Which weights of a run are trained, and from which epoch."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sib.config.train import TrainConfig
from sib.models.build import head_names
from sib.utils.errors import InputError
from sib.utils.nearest import nearest


class Freezing:
    """Freezes the layers that a configuration names, and trains them from a later epoch on.

    Batch norm in a frozen layer keeps its statistics. The optimiser always holds all weights, so a
    run can be resumed with other layers frozen.

    Args:
        model: the model to freeze.
        config: the run's options.

    Raises:
        InputError: a layer does not exist, or nothing is left to train.
    """

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self.until = config.unfreeze_after
        names = _frozen_names(model, config)
        own = dict(model.named_parameters())
        self.parameters = [own[name] for name in names if own[name].requires_grad]
        self.norms = [
            module
            for name, module in model.named_modules()
            if isinstance(module, _BatchNorm) and any(_is_below(each, name) for each in names)
        ]
        left = sum(p.requires_grad for p in own.values()) - len(self.parameters)
        if not left:
            raise InputError(
                f"--freeze {config.freeze}: every weight of {config.arch} is frozen, and nothing "
                "is left to train"
            )
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> bool:
        """Freeze or unfreeze the weights for an epoch; the first is 0.

        Call it after ``model.train()``, which resets the mode of batch norm.

        Returns:
            Whether weights that were frozen are now trained.
        """
        trained = self.until is not None and epoch >= self.until
        changed = trained and any(not p.requires_grad for p in self.parameters)
        for parameter in self.parameters:
            parameter.requires_grad_(trained)
            if not trained:
                parameter.grad = None
        for norm in () if trained else self.norms:
            norm.eval()
        return changed


def check_frozen_start(config: TrainConfig) -> str | None:
    """A warning about layers that are frozen at random values; None if there is no such layer.

    The weights of an architecture of the user's own, MODULE:FUNCTION, may be trained ones.

    Raises:
        InputError: the whole backbone would stay random.
    """
    if config.freeze == "none" or config.weights or config.resume or ":" in config.arch:
        return None
    if config.freeze == "backbone":
        raise InputError(
            "--freeze backbone needs --weights: without them the backbone is random, and only the "
            "head on top of it would be trained"
        )
    until = "" if config.unfreeze_after is None else f" for {config.unfreeze_after} epochs"
    return (
        f"warning: --freeze {config.freeze} without --weights: these layers keep their random "
        f"values{until}"
    )


def _frozen_names(model: nn.Module, config: TrainConfig) -> list[str]:
    """Names of the frozen parameters."""
    parameters = [name for name, _ in model.named_parameters()]
    if config.freeze == "none":
        return []
    if config.freeze == "backbone":
        head = head_names(config.arch, config.side)
        return [name for name in parameters if name not in head]
    layers = config.freeze.split(",")
    modules = [name for name, _ in model.named_modules() if name]
    for layer in layers:
        if not any(_is_below(name, layer) for name in parameters):
            meant = nearest(layer, modules, count=3)
            top = dict.fromkeys(name.partition(".")[0] for name in parameters)
            names = f"perhaps {' or '.join(meant)}" if meant else f"it has {', '.join(top)}"
            if layer in ("backbone", "none"):
                names += f"; {layer} is given alone, without other layers"
            raise InputError(
                f"--freeze {layer}: {config.arch} has no layer of this name that has weights; "
                f"{names}"
            )
    return [name for name in parameters if any(_is_below(name, layer) for layer in layers)]


def _is_below(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")
