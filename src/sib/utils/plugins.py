"""Objects that other installed packages add, by Python's entry points."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from sib.utils.errors import InputError


def names_with_plugins(own: Iterable[str], group: str) -> tuple[str, ...]:
    """Our own names, and those that installed packages add under a group; loads none of them."""
    own = tuple(own)
    return (*own, *sorted({entry.name for entry in entry_points(group=group)} - set(own)))


def load_entry_points(group: str) -> dict[str, object]:
    """Load what installed packages offer under a group of entry points.

    A package offers an object with these lines in its ``pyproject.toml``::

        [project.entry-points."sib.explanations"]
        toy = "toy_package.module:object"

    Loading imports the module, so this runs code of every package that is installed and offers
    something; it reads nothing from runs, weights or data.

    Args:
        group: name of the group, as ``"sib.explanations"``.

    Returns:
        The objects by the name of their entry point, in order of the names.

    Raises:
        InputError: one cannot be imported, or two packages offer the same name; the sentence names
            the packages.
    """
    found: dict[str, object] = {}
    sources: dict[str, str] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        source = _distribution(entry)
        if entry.name in sources:
            if source == sources[entry.name]:  # a package that is found twice on sys.path
                continue
            raise InputError(
                f"{group}: {sources[entry.name]} and {source} both add {entry.name!r}; uninstall "
                "one of them"
            )
        try:
            found[entry.name] = entry.load()
        except Exception as error:  # whatever importing someone else's module raises
            raise InputError(
                f"{group}: {entry.name!r} of {source} cannot be loaded from {entry.value}: "
                f"{type(error).__name__}: {error}"
            ) from error
        sources[entry.name] = source
    return found


def _distribution(entry: EntryPoint) -> str:
    """Name and version of the package that an entry point belongs to."""
    if entry.dist is None:
        return "an unnamed package"
    return f"{entry.dist.name} {entry.dist.version}"
