"""The annotated objects of each label of an image."""

from collections.abc import Sequence

from sib.data.sample import Objects


def objects_by_label(objects: Objects, classes: Sequence[str]) -> dict[int, Objects]:
    """The objects whose class is a label, by its number.

    A class is the label of the same name, or else of the same name up to case, hyphens, underscores
    and spaces.

    Args:
        objects: of an image.
        classes: (K,) names of the labels.

    Returns:
        The objects of each label that has any; nothing where no object names a class.
    """
    exact = {name: label for label, name in enumerate(classes)}
    alike = {_plain(name): label for label, name in reversed(list(enumerate(classes)))}
    found: dict[int, list[int]] = {}
    for place, name in enumerate(objects.classes):
        label = None if name is None else exact.get(name, alike.get(_plain(name)))
        if label is not None:
            found.setdefault(label, []).append(place)
    return {
        label: Objects(tuple(objects.shapes[place] for place in places))
        for label, places in found.items()
    }


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
