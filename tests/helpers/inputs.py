"""What hypothesis draws: tensors of every shape, dtype, scale and degree of degeneracy."""

import os
import warnings
from contextlib import contextmanager

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# make torture asks for more
EXAMPLES = int(os.environ.get("SIB_EXAMPLES", "30"))
thorough = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
SCALES = (1e-30, 1e-20, 1e-12, 1e-8, 1e-6, 1e-3, 1.0, 1e3, 1e6, 1e12, 1e20, 1e30)
FILLS = ("normal", "normal", "constant", "zero", "rows", "single", "tied", "offset")
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
BAD = (float("nan"), float("inf"), float("-inf"))


@st.composite
def tensors(draw, shape, dtypes=DTYPES, scales=SCALES, fills=FILLS):
    """A finite tensor of one shape."""
    dtype, scale, fill = (draw(st.sampled_from(options)) for options in (dtypes, scales, fills))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    if fill in ("constant", "zero"):
        values = torch.full_like(values, float(fill == "constant"))
    elif fill == "rows":  # one row of the batch is zero
        values[:1] = 0
    elif fill == "single":
        values.flatten()[1:] = 0
    elif fill == "tied":
        values = values.round()
    elif fill == "offset":  # large mean, small spread
        values = 1e3 + values * 1e-3
    limit = torch.finfo(dtype).max
    return (values * scale).clamp(-limit, limit).to(dtype)


@st.composite
def shapes(draw, smallest_batch=1, smallest_side=1):
    """(B, C, H, W)."""
    sides = st.integers(smallest_side, max(14, smallest_side))
    return (
        draw(st.integers(smallest_batch, max(5, smallest_batch))),
        draw(st.integers(1, 4)),
        draw(sides),
        draw(sides),
    )


@st.composite
def masks(draw, shape):
    """A soft mask (B, 1, H, W): drawn in [0, 1], all or nothing."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    values = torch.rand(shape[0], 1, *shape[2:], generator=generator)
    kind = draw(st.sampled_from(("soft", "hard", "zeros", "ones")))
    if kind == "hard":
        return values.round()
    return values if kind == "soft" else torch.full_like(values, float(kind == "ones"))


@st.composite
def spoiled(draw, values):
    """The same values with one that is no number or infinite."""
    bad = values.clone()
    place = draw(st.integers(0, values.numel() - 1))
    bad.view(-1)[place] = draw(st.sampled_from(BAD))
    return bad


@contextmanager
def no_warnings():
    """Any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def one_sentence(error):
    """Whether an error's text is a sentence that a person can use."""
    text = str(error)
    return 10 < len(text) < 400 and "\n" not in text and "Traceback" not in text


def finite(values):
    return bool(values.detach().isfinite().all())
