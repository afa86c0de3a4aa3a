"""Match the tensors of a file to those of a model by name."""

from collections.abc import Collection, Iterable, Iterator

from sib.utils.errors import InputError

PREFIXES = (
    *("model.", "module.", "_orig_mod.", "backbone.", "net.", "task."),
    *("network.", "student.", "ema."),
)
"""What wrappers put before names: Lightning and our own tasks, DDP, torch.compile, others."""
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""Heads of GoogLeNet and Inception v3 that are used in their own training only."""
COUNTER = "num_batches_tracked"
"""Batch norm's count of steps; weights from before PyTorch 0.4.1 have none."""


def stripped(name: str) -> Iterator[str]:
    """The name, then the name without its first prefix, and so on."""
    yield name
    while prefix := next((p for p in PREFIXES if name.startswith(p)), None):
        name = name.removeprefix(prefix)
        yield name


def match_names(
    names: Iterable[str], own: Iterable[str], source: str
) -> tuple[dict[str, str], list[str]]:
    """Match the names of a file to those of a model; prefixes of wrappers may differ.

    A prefix that all names of the file have, and none of the model, is a wrapper's too.

    Args:
        names: of the file's tensors.
        own: of the model's tensors.
        source: what messages call the file.

    Returns:
        The file's name of each tensor of the model that was found, and the names of the file's
        model that this model does not have. Tensors outside the model, such as those of a loss, are
        in neither.

    Raises:
        InputError: two tensors of the file fit one of the model.
    """
    names, own = list(names), list(own)
    known = _by_bare_name(own)
    outer = _outer_prefix(names, own)
    found: dict[str, str] = {}
    left, before = [], set()
    for name in names:
        bare = name.removeprefix(outer)
        target = next((known[each] for each in stripped(bare) if each in known), None)
        if target is None:
            left.append(name)
            continue
        if target in found:
            raise InputError(
                f"{source} holds two tensors for {target}: {found[target]} and {name}; keep one"
            )
        found[target] = name
        before.add(_prefix(name, target))
    foreign = [name for name in left if any(name.startswith(prefix) for prefix in before)]
    return found, [name for name in foreign if not _is_beside(name)]


def check_for_copies(
    found: dict[str, str], own: Collection[str], names: Iterable[str], source: str
) -> None:
    """Raise InputError if a file holds all weights a second time, as a teacher or an average.

    If less than half of the model was found, the file is of another architecture. A few names such
    as bn1.weight, which many networks have in several places, do not make it a copy.

    Args:
        found: the file's name of each tensor of the model.
        own: names of the model's tensors.
        names: of the file's tensors.
        source: what messages call the file.
    """
    used = set(found.values())
    left = set(names) - used
    if 2 * len(found) < len(own) or len(left) < len(found):
        return
    target, theirs = min(found.items(), key=lambda item: len(item[0]))
    bare = list(stripped(target))[-1]
    for prefix in sorted({name.removesuffix(bare) for name in left if name.endswith(f".{bare}")}):
        if all(prefix + list(stripped(each))[-1] in left for each in found):
            own = theirs.removesuffix(bare)
            raise InputError(
                f"{source} holds the weights twice, under {own or 'their own names'} and {prefix}, "
                "as of a student and a teacher or an average: save one of them alone"
            )


def _by_bare_name(own: Iterable[str]) -> dict[str, str]:
    """The model's names by themselves, and without the prefixes of its own wrappers."""
    own = list(own)
    known: dict[str, str] = {}
    for name in own:
        for each in stripped(name):
            known.setdefault(each, name)
    return known | {name: name for name in own}


def _outer_prefix(names: list[str], own: list[str]) -> str:
    """The prefix that all names have and none of the model's names begins with; empty for none."""
    prefix = ""
    while names:
        first, dot, _ = names[0].removeprefix(prefix).partition(".")
        longer = f"{prefix}{first}."
        shared = all(name.startswith(longer) for name in names)
        if not dot or not shared or any(name.startswith(f"{first}.") for name in own):
            break
        prefix = longer
    return prefix


def _prefix(name: str, target: str) -> str:
    """The prefix of a name in the file."""
    bare = list(stripped(target))[-1]
    return name.removesuffix(bare)


def _is_beside(name: str) -> bool:
    bare = list(stripped(name))[-1]
    return bare.startswith(AUXILIARY) or bare.endswith(COUNTER)
