"""The explanation methods, by name.

A method of this package is a function in the file of its family, and an entry in
`sib.explain.built_in`. Other packages add methods with `register`, or by an entry point in the
group ``sib.explanations``. This module loads no torch.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sib.explain.built_in import BUILT_IN
from sib.explain.method import Method, Size
from sib.utils.errors import InputError
from sib.utils.plugins import load_entry_points

if TYPE_CHECKING:
    from torch import Tensor

    from sib.explain.call import Call

GROUP = "sib.explanations"

_methods: dict[str, Method] = {method.name: method for method in BUILT_IN}
_plugins_loaded: list[bool] = []


def register(
    method: Method | str, function: "Callable[[Call], Tensor] | None" = None, **facts: Any
) -> Method:
    """Add an explanation method, which `attribute` and every command then accept by its name.

    Args:
        method: a `Method`; or its name, with ``function`` and the other fields of `Method`. By
            default the family is ``"gradient"`` and the title is the name.
        function: `Call` → maps (B, H, W).
        facts: further fields of `Method`.

    Returns:
        The method.

    Raises:
        ValueError: the name is taken, or a field is not allowed.

    Example:
        >>> import sib.explain
        >>> def brightness(call):
        ...     return call.images.detach().mean(dim=1)
        >>> sib.explain.register("brightness", brightness, family="perturbation").name
        'brightness'
    """
    if isinstance(method, str):
        if function is None:
            raise ValueError(f"function must be given for the method {method!r}")
        facts = {"title": method.replace("_", " "), "family": "gradient"} | facts
        method = Method(method, function=function, **facts)
    elif function is not None or facts:
        raise ValueError("fields can be given with a name only; a Method has them already")
    if method.name in _methods:
        raise ValueError(f"the explanation method {method.name!r} exists already")
    _methods[method.name] = method
    return method


def get_method(name: str, argument: str = "method") -> Method:
    """The method with a name.

    Args:
        name: as users write it.
        argument: name of the argument it was given as, for the message.

    Raises:
        ValueError: no method has this name.
        InputError: a package that adds methods cannot be loaded.

    Example:
        >>> import sib
        >>> sib.explain.get_method("gradcam").family
        'cam'
    """
    if name not in _methods:
        _load_plugins()
    if name not in _methods:
        raise ValueError(f"{argument} must be one of {', '.join(_methods)}; got {name!r}")
    return _methods[name]


def method_names() -> tuple[str, ...]:
    """Names of all methods, those of other packages last.

    Example:
        >>> import sib
        >>> "rise" in sib.explain.method_names()
        True
    """
    _load_plugins()
    return tuple(_methods)


def default_methods() -> tuple[str, ...]:
    """Names of the methods that ``sib evaluate`` uses by default.

    Example:
        >>> import sib
        >>> sib.explain.default_methods()[:2]
        ('saliency', 'input_x_gradient')
    """
    _load_plugins()
    return tuple(name for name, method in _methods.items() if method.default)


def gallery_methods() -> tuple[str, ...]:
    """Names of the methods that ``sib report`` shows by default.

    Example:
        >>> import sib
        >>> set(sib.explain.gallery_methods()) <= set(sib.explain.method_names())
        True
    """
    _load_plugins()
    return tuple(name for name, method in _methods.items() if method.in_gallery)


def method_title(name: str) -> str:
    """A method's title; made from its name if the package that adds it is not installed.

    Example:
        >>> import sib
        >>> sib.explain.method_title("gradcam")
        'Grad-CAM'
    """
    method = _methods.get(name)
    return name.replace("_", " ") if method is None else method.title


def method_family(name: str) -> str | None:
    """``"gradient"``, ``"cam"`` or ``"perturbation"``; None for an unknown method.

    Example:
        >>> import sib
        >>> sib.explain.method_family("occlusion")
        'perturbation'
    """
    method = _methods.get(name)
    return None if method is None else method.family


def cost_notes(methods: Sequence[str], size: Size, **options: Any) -> list[str]:
    """One line for each method that uses only forward passes, with their number per image.

    Args:
        methods: names.
        size: (H, W) of the images.
        options: options of `attribute` that differ from their defaults.

    Example:
        >>> import sib
        >>> len(sib.explain.cost_notes(["rise"], (32, 32)))
        1
    """
    from sib.explain.call import Options  # loads torch

    chosen = [get_method(name) for name in methods]
    return [
        f"{method.name}: {method.cost(size, Options(**options))} forward passes per image"
        for method in chosen
        if method.family == "perturbation"
    ]


def _load_plugins() -> None:
    """Register the methods that installed packages add, once."""
    if _plugins_loaded:
        return
    before = dict(_methods)
    for name, found in load_entry_points(GROUP).items():
        try:
            if isinstance(found, Method) and found.name != name:
                raise ValueError(f"it is named {found.name!r}")
            register(found) if isinstance(found, Method) else register(name, found)  # type: ignore[arg-type]
        except ValueError as error:
            _methods.clear()  # all or none, so that the next attempt fails in the same way
            _methods.update(before)
            raise InputError(f"{GROUP}: {name!r} cannot be added: {error}") from None
    _plugins_loaded.append(True)
