"""A loss whose gradient with respect to the parameters is known before its backward pass."""

import weakref
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sib.objectives.gradient_sums import Measured
from sib.tasks.criterion import KNOWN_FUNCTIONS, Criterion
from sib.tasks.output import StepOutput


def with_known_gradient(out: StepOutput, measured: Measured, scale: float = 1.0) -> StepOutput:
    """The same output, with a loss whose backward pass returns ∇H + scale Σ_k w_k ∇P_k.

    A step that measures the weights of its terms has already computed the gradients of the
    classification loss H and of all penalties P_k; its own backward pass would repeat that work.
    Parameter hooks, including those of DistributedDataParallel, and factors of the loss work as
    usual.

    An ordinary backward pass frees its graph. Here the graph of the logits and terms is not part of
    the backward pass. After a backward pass without ``retain_graph=True`` these tensors are
    therefore detached, which frees it too. Sums computed from them before remain differentiable.

    Args:
        out: the output of a step.
        measured: the gradients of the same batch. They are overwritten.
        scale: factor of all terms.
    """
    assert out.terms is not None
    row = measured.cross_entropy
    for name, gradient in measured.penalties.items():
        weight = out.terms.weights[name]
        if isinstance(weight, Tensor):
            row.addcmul_(gradient, scale * weight.to(row))
        else:
            row.add_(gradient, alpha=scale * weight)
    tensors = [weakref.ref(each) for each in _tensors_with_graph(out)]
    loss = _KnownGradient.apply(out.loss.detach(), row, tensors, *measured.parameters)
    return out._replace(loss=loss)


def depends_on_model_alone(task: nn.Module, model: nn.Module, criterion: Criterion) -> bool:
    """Whether a loss is known to have no parameters but the model's.

    Args:
        task: contains the model and everything else that has parameters.
        model: the task's model.
        criterion: the task's criterion.
    """
    if criterion not in KNOWN_FUNCTIONS and not isinstance(criterion, nn.Module):
        return False  # a function may use a parameter of its own
    of_model = {id(p) for p in model.parameters()}
    return all(id(p) in of_model for p in task.parameters() if p.requires_grad)


def _tensors_with_graph(out: StepOutput) -> Iterator[Tensor]:
    yield from (out.logits, out.cross_entropy, *out.weighted_terms.values())
    if out.terms is not None:
        yield from (*out.terms.values.values(), *out.terms.weighted.values())
        for each in (out.terms.mask, out.terms.reconstruction):
            if each is not None:
                yield each


class _KnownGradient(torch.autograd.Function):
    """A scalar with a given gradient, one flat tensor, with respect to some tensors."""

    @staticmethod
    def forward(ctx, value, row, tensors, *parameters):
        ctx.save_for_backward(row)
        ctx.tensors = tensors
        ctx.shapes = [(each.shape, each.dtype) for each in parameters]
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (row,) = ctx.saved_tensors
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            for reference in ctx.tensors:
                tensor = reference()
                # torch cannot detach a view; it is freed with the output
                if tensor is not None and tensor.requires_grad and not tensor._is_view():
                    tensor.detach_()
        rows = (gradient * row).split([shape.numel() for shape, _ in ctx.shapes])
        pairs = zip(rows, ctx.shapes, strict=True)
        return None, None, None, *(each.view(shape).to(dtype) for each, (shape, dtype) in pairs)
