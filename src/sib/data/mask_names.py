"""Names of folders that hold masks, or may hold them."""

import re

FOLDERS = ("mask", "masks", "seg", "segs", "segmentation", "segmentations")
"""Names of mask folders inside a class folder, in any case."""
CERTAIN = ("masks", "groundtruth", "segmentationclass", "segmentationobject")
"""Names of mask folders wherever they are, without case, hyphens and underscores."""
LABELS = {"label", "labels", "annotation", "annotations", "gt", "truth", "groundtruth"} | {
    *("target", "targets", "matte", "mattes", "alpha", "silhouette", "silhouettes"),
    *("mask", "masks", "seg", "segs", "segmentation", "segmentations", "trimap", "trimaps"),
}
"""Words in the names of folders that may hold masks."""
OF_KINDS = {"ground", "class", "object", "image", "images", "img", "imgs", "photos"}
"""Further words for the kind of content of a folder, not for its subject."""
LISTS = ("imagesets",)
"""Names, in lower case, of the folders of lists in exports as PASCAL VOC."""
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+")


def is_of_masks(name: str) -> bool:
    """Whether a folder of this name inside a class folder holds masks."""
    return name.lower() in FOLDERS or is_certain(name)


def is_certain(name: str) -> bool:
    """Whether a folder of this name holds masks wherever it is."""
    return re.sub(r"[-_. ]", "", name.lower()) in CERTAIN


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case: ``segmentation``, ``class`` of ``SegmentationClass``."""
    return [word.lower() for word in WORD.findall(name)]


def owner_of(name: str) -> list[str]:
    """The words of a name that tell whose folder it is, as ``cat`` of ``cat_masks``."""
    return [word for word in words_of(name) if word not in LABELS | OF_KINDS]


def may_hold_labels(name: str) -> bool:
    """Whether a word of `LABELS` is in a name."""
    return not LABELS.isdisjoint(words_of(name))


def may_hold_lists(name: str) -> bool:
    """Whether a name is one of `LISTS`."""
    return name.lower() in LISTS
