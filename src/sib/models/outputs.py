"""What a model returns: logits, an object that contains logits, or probabilities."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal
from weakref import WeakSet

import torch
from torch import Tensor, nn

Kind = Literal["logits", "probabilities", "log-probabilities"]
TOLERANCE = 1e-4
"""Largest difference from 1 in the sum of an image's probabilities."""
VIEWS = (
    *("SqueezeBackward", "UnsqueezeBackward", "ViewBackward", "ReshapeAliasBackward"),
    *("SelectBackward", "SliceBackward", "AliasBackward"),
)
"""Operations after a sigmoid that leave its values, by the names of their gradients."""
LAST = {nn.Softmax: "softmax", nn.LogSoftmax: "log-softmax", nn.Sigmoid: "sigmoid"}
"""Modules whose input is the logits, if they come last."""
NOTE = "_sib_output_note"
"""Attribute of a model, so that its copies have it too."""

_checked: WeakSet[nn.Module] = WeakSet()


def logits_in(output: Any) -> Any:
    """The logits (B, K) in a model's output.

    Accepted are a tensor, the attribute or entry ``logits`` (Hugging Face models), and the only
    tensor with two axes in a tuple or list. A tensor (B,) is one logit of each image, and one
    (B, K, 1, 1) is of a network without a last pooling. Anything else is returned unchanged.
    """
    if isinstance(output, Tensor):
        return _with_two_axes(output)
    if isinstance(getattr(output, "logits", None), Tensor):
        return _with_two_axes(output.logits)
    if isinstance(output, Mapping) and isinstance(output.get("logits"), Tensor):
        return _with_two_axes(output["logits"])
    if isinstance(output, (tuple, list)):
        fitting = [each for each in output if isinstance(each, Tensor) and each.ndim == 2]
        if len(fitting) == 1:
            return fitting[0]
    return output


def _with_two_axes(logits: Tensor) -> Tensor:
    if logits.ndim < 2:  # of one image, squeeze() leaves no axis at all
        return logits.reshape(-1, 1)
    if logits.ndim > 2 and logits.shape[2:].numel() == 1:
        return logits.flatten(1)
    return logits


def kind_of(logits: Tensor) -> Kind:
    """Whether outputs (B, K) are logits, or already went through a softmax, by their values."""
    values = logits.detach().float()
    if values.ndim != 2 or values.shape[1] < 2 or not values.isfinite().all():
        return "logits"
    if (values >= 0).all() and _sum_to_one(values):
        return "probabilities"
    return "log-probabilities" if (values <= 0).all() and _sum_to_one(values.exp()) else "logits"


def warn_if_probabilities(model: nn.Module, logits: Tensor) -> None:
    """Warn, once for each model, if it gives probabilities instead of logits."""
    if model in _checked:
        return
    _checked.add(model)
    if kind_of(logits) == "probabilities":
        warnings.warn(
            f"model gives probabilities: each output of this {type(model).__name__} lies in [0, 1] "
            "and those of an image sum to 1; cross-entropy and explanations expect logits and "
            "would apply a second softmax: leave out the one at the end of the model",
            stacklevel=3,
        )
    elif _is_sigmoid(logits):
        warnings.warn(
            f"model gives probabilities: this {type(model).__name__} ends in a sigmoid; losses and "
            "explanations expect logits and would apply a second one: leave it out",
            stacklevel=3,
        )


def give_logits(model: nn.Module, images: Tensor) -> None:
    """Make a model return its logits if it returns probabilities, or an object with the logits.

    A final softmax, log-softmax or sigmoid module is skipped, so that its input is the output. For
    other probabilities p the output is log p, whose softmax is p, or log(p / (1 - p)) after a
    sigmoid that is called as a function. Hooks do this, so the names of modules and weights do not
    change. `output_note` says what was done.

    Args:
        model: classifier in evaluation mode; changed.
        images: (B, C, H, W) that it takes.
    """
    last: list[nn.Module] = []
    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [
        leaf.register_forward_hook(lambda leaf, inputs, output: last.append(leaf))
        for leaf in leaves
    ]
    output = model(images)
    for handle in handles:
        handle.remove()
    logits = logits_in(output)
    if logits is not output:
        model.register_forward_hook(_unwrap)
    kind = kind_of(logits)
    if last and type(last[-1]) in LAST and (kind != "logits" or type(last[-1]) is nn.Sigmoid):
        last[-1].register_forward_hook(_pass_over)
        note = f"the model ends in a {LAST[type(last[-1])]}, whose input is taken as the logits"
    elif kind == "probabilities":
        model.register_forward_hook(_logarithm)
        note = "the model ends in a softmax; the logarithms of its probabilities are the logits"
    elif kind == "log-probabilities":
        note = "the model ends in a log-softmax, whose output is taken as the logits"
    elif _calls_sigmoid(model, images, logits):
        model.register_forward_hook(_log_odds)
        note = "the model ends in a sigmoid; the log-odds of its outputs are the logits"
    else:
        return
    add_note(model, note)


def _calls_sigmoid(model: nn.Module, images: Tensor, logits: Tensor) -> bool:
    """Whether the last operation of a model is a sigmoid, seen by the gradient of its output."""
    if not ((logits >= 0) & (logits <= 1)).all():
        return False
    with torch.enable_grad():
        return _is_sigmoid(logits_in(model(images.clone().requires_grad_())))


def _is_sigmoid(logits: Tensor) -> bool:
    """Whether a tensor with a graph is the output of a sigmoid."""
    node = logits.grad_fn
    while node is not None and node.name().startswith(VIEWS):
        node = node.next_functions[0][0]
    return node is not None and node.name().startswith("SigmoidBackward")


def add_note(model: nn.Module, note: str) -> None:
    """Add to what `output_note` gives."""
    known = output_note(model)
    setattr(model, NOTE, note if known is None else f"{known}; {note}")


def output_note(model: nn.Module) -> str | None:
    """What is to be known about a model's output, in words; None if nothing.

    What `give_logits` did about a softmax inside the model, and doubts about the figures.
    """
    note = getattr(model, NOTE, None)
    return note if isinstance(note, str) else None


def in_words(output: Any) -> str:
    """A model's output in words, for a message."""
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__} of {', '.join(map(in_words, output)) or 'nothing'}"
    if isinstance(output, Mapping):
        return f"a {type(output).__name__} with {', '.join(map(str, output)) or 'nothing'}"
    return f"a {type(output).__name__}"


def _unwrap(module: nn.Module, inputs: Any, output: Any) -> Any:
    return logits_in(output)


def _pass_over(module: nn.Module, inputs: Any, output: Any) -> Any:
    return inputs[0]


def _logarithm(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return output.clamp_min(torch.finfo(output.dtype).tiny).log()


def _log_odds(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return output.logit(torch.finfo(output.dtype).eps)


def _sum_to_one(values: Tensor) -> bool:
    return bool(((values.sum(dim=1) - 1).abs() < TOLERANCE).all())
