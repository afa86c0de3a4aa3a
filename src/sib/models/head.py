"""The number of outputs that the weights in a file have."""

from pathlib import Path

from sib.models.build import build_random, count_logits, head_names
from sib.models.names import match_names
from sib.models.weights import State
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize
from sib.utils.nearest import perhaps


def outputs_of(arch: str, image_size: ImageSize, state: State, file: Path) -> int:
    """The number of classes K, from the parameters whose shapes depend on it.

    Code of the user's own is asked for two classes where the file has a single logit, or where its
    shapes do not depend on their number, as a model with a single logit may.

    Args:
        arch: the architecture, as in `build`.
        image_size: side of the square images, or height and width.
        state: the tensors of the file.
        file: named in errors.

    Raises:
        InputError: the head is missing, or its tensors disagree.
    """
    own = ":" in arch
    head = sorted(head_names(arch, image_size))
    if own and not head:
        return 2
    found, _ = match_names(state, head, str(file))
    sizes = {len(state[name]) for name in found.values() if state[name].ndim}
    if len(sizes) != 1:
        lacking = next((name for name in head if name not in found), None)
        if lacking is None:
            reason = f"its head has {' and '.join(map(str, sorted(sizes)))} outputs"
        else:
            reason = f"there is no {lacking}, the head{perhaps(lacking, state)}"
        raise InputError(f"{file} does not fit {arch}: {reason}")
    found_size = sizes.pop()
    if own and found_size == 1 and count_logits(build_random(arch, 2, image_size), image_size) == 1:
        return 2
    return found_size
