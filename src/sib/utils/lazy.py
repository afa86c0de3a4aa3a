"""Packages that import a module when one of its names is first used."""

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from sib.utils.optional import missing_extra


def attach(
    package: str, places: Mapping[str, Iterable[str]], modules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the ``__getattr__``, ``__dir__`` and ``__all__`` of a package that loads on demand.

    Type checkers do not follow it, so the package names the same things a second time under
    ``TYPE_CHECKING``.

    Args:
        package: its name.
        places: names by the module that defines them; ``"old=new"`` keeps an old name.
        modules: names of submodules that are public themselves.

    Returns:
        The two functions and the sorted list of names, in this order.

    Example:
        >>> __getattr__, __dir__, __all__ = attach(__name__, {"sib.data.open": ["open_data"]})
    """
    homes = {each.partition("=")[0]: module for module, own in places.items() for each in own}
    homes |= {name: f"{package}.{name}" for name in modules}
    aliases = dict(each.split("=") for own in places.values() for each in own if "=" in each)
    public = sorted(homes)

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = import_module(homes[name])
        except ModuleNotFoundError as error:
            sentence = missing_extra(f"{package}.{name}", error)
            if sentence is None:
                raise
            raise ModuleNotFoundError(sentence, name=error.name) from None
        whole = homes[name] == f"{package}.{name}"
        value = module if whole else getattr(module, aliases.get(name, name))
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return list(public)

    return get, names, public


def load(place: str) -> Any:
    """The object at ``MODULE:NAME``."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
