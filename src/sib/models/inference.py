"""A trained model made faster for inference."""

import copy

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def for_inference(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose batch norms are folded into the convolutions before them.

    W′ = W γ / √(σ² + ε), b′ = β + (b − μ) γ / √(σ² + ε): the same function of the images up to
    rounding, with fewer passes over memory. A batch norm is kept if it does not follow a
    convolution directly (densely connected networks), or if the convolution's weight is computed in
    each pass (``spectral_norm``, ``weight_norm``, ``prune``). All are kept if the model cannot be
    traced. Module names do not change; a folded batch norm becomes an identity. Convolutional
    weights are stored channels last.

    Args:
        model: any classifier; not changed.

    Returns:
        The copy; its parameters require no gradient.
    """
    twin = copy.deepcopy(model).eval().requires_grad_(False)
    modules = dict(twin.named_modules())
    for convolution, norm in _foldable(twin):
        folded = fuse_conv_bn_eval(modules[convolution], modules[norm])
        _replace(twin, convolution, folded)
        _replace(twin, norm, nn.Identity())
    if any(isinstance(module, nn.Conv2d) for module in modules.values()):
        twin = twin.to(memory_format=torch.channels_last)
    return twin.requires_grad_(False)


def _foldable(model: nn.Module) -> list[tuple[str, str]]:
    """Names of convolutions whose output goes to one batch norm alone, each used once."""
    try:
        graph = fx.symbolic_trace(model).graph
    except Exception:  # whatever a model's code does that cannot be traced: nothing is folded
        return []
    modules = dict(model.named_modules())
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    pairs = []
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules[str(node.target)], nn.BatchNorm2d):
            continue
        before = node.args[0]
        if (
            isinstance(before, fx.Node)
            and before.op == "call_module"
            and _is_plain(modules[str(before.target)])
            and len(before.users) == 1
            and calls.count(str(before.target)) == calls.count(str(node.target)) == 1
            and modules[str(node.target)].track_running_stats
            and not _is_hooked(modules[str(node.target)])
        ):
            pairs.append((str(before.target), str(node.target)))
    return pairs


def _is_plain(module: nn.Module) -> bool:
    """Whether a module is a convolution whose weight is a parameter, not computed in each pass.

    ``spectral_norm``, ``weight_norm`` and ``prune`` compute it; folding would lose their effect.
    """
    return type(module) is nn.Conv2d and "weight" in module._parameters and not _is_hooked(module)


def _is_hooked(module: nn.Module) -> bool:
    return bool(module._forward_pre_hooks or module._forward_hooks)


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)
