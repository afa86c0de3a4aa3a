"""The relative errors of the GPU kernels in each case, computed by Triton's interpreter.

Run by tests/double_backward/test_triton.py, since it must be chosen before Triton is imported."""

import contextlib
import json

import torch
import torch.nn.functional as F

torch.cuda.device_of = lambda tensor: contextlib.nullcontext()

from sib.double_backward import batch_norm_triton as kernels  # noqa: E402

SHAPES = ((4, 3, 33, 20), (2, 66, 5, 3))


def error(found, wanted):
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def derivatives(shape, kind):
    """Errors of R, and of its gradients at the incoming gradient, the input and the weight."""
    torch.manual_seed(0)
    x, gy, v = ((torch.randn(shape) + 0.5).to(memory_format=kind) for _ in range(3))
    weight = torch.randn(shape[1])
    exact = [each.double().requires_grad_() for each in (gy, x, weight)]
    y = F.batch_norm(exact[1], None, None, exact[2], None, training=True)
    (gx,) = torch.autograd.grad(y, exact[1], exact[0], create_graph=True)
    wanted = torch.autograd.grad(gx, exact, v.double())
    statistics = x.mean((0, 2, 3)), (x.var((0, 2, 3), unbiased=False) + 1e-5).rsqrt()
    sums_gy = kernels.sums(gy, x, *statistics)
    sums_v = kernels.sums(v, x, *statistics, gy)
    first = kernels.first(gy, x, weight, *statistics, sums_gy)
    second = kernels.second(v, gy, x, weight, *statistics, sums_gy, sums_v)
    assert first.stride() == x.stride()
    return [error(*pair) for pair in zip((first, *second), (gx.detach(), *wanted), strict=True)]


def count():
    """Sums of 4,096 ones in bfloat16, which itself counts to 256."""
    ones = torch.ones(4, 2, 32, 32, dtype=torch.bfloat16)
    return kernels.sums(ones, ones, torch.zeros(2), torch.ones(2), ones).tolist()


if __name__ == "__main__":
    kinds = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
    errors = {
        f"{shape} {name}": derivatives(shape, kind)
        for shape in SHAPES
        for name, kind in kinds.items()
    }
    print(json.dumps({"errors": errors, "count": count()}))
