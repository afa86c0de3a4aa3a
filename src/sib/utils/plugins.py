"""Objects that other installed packages offer through entry points."""

from importlib.metadata import entry_points

from sib.utils.errors import InputError


def load_entry_points(group: str) -> dict[str, object]:
    """Load every object that installed packages offer in a group.

    Loading imports the module that an entry point names, so it runs code of that package, as
    ``import`` does.

    Args:
        group: such as ``"sib.metrics"``.

    Returns:
        The objects, by the names of their entry points, sorted by name.

    Raises:
        InputError: an entry point cannot be loaded, or two packages offer the same name.
    """
    found: dict[str, object] = {}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        package = point.dist.name if point.dist else "an unknown package"
        if point.name in found:
            raise InputError(f"two packages offer {point.name!r} in {group}; {package} is one")
        try:
            found[point.name] = point.load()
        except Exception as error:
            raise InputError(
                f"{point.name!r} of {package} in {group} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
    return found
