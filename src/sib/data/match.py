"""Find the image in a data folder that a name from elsewhere refers to."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

from sib.utils.errors import InputError

UPLOADED = re.compile(r"[0-9a-f]{8}-")
"""Prefix that Label Studio adds to the name of an uploaded file."""


class ImageNames:
    """A data folder's images, found by the ends of their paths.

    A name may be a path on another machine, a file name or a file name without its ending. It
    matches an image with the same file name unless one of its folders contradicts: a folder that
    also occurs in the data set, such as a class or a split, must be one of the image's own. Of
    several matches, the one that shares the most folders is used.

    Args:
        names: (N,) paths of the images, relative to the folder.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._paths = [PurePosixPath(name) for name in names]
        self._folders = {part for path in self._paths for part in path.parts[:-1]}
        self._by_file: dict[str, list[int]] = defaultdict(list)
        self._by_stem: dict[str, list[int]] = defaultdict(list)
        for index, path in enumerate(self._paths):
            self._by_file[_file_key(path)].append(index)
            self._by_stem[path.stem].append(index)

    def find(self, name: str, where: str) -> int | None:
        """The index of the image that a name refers to; None if there is none.

        Args:
            name: name of the image, with its ending or without.
            where: prefix of error messages.

        Raises:
            InputError: several images match equally well.
        """
        path = as_path(name)
        for wanted in (path, _without_upload(path)):
            if wanted is None:
                continue
            for candidates in (
                self._by_file.get(_file_key(wanted), []),
                # a name with another ending is that of another file
                self._by_stem.get(wanted.name, []),
            ):
                best = self._best(candidates, wanted)
                if len(best) > 1:
                    first, second = (self._paths[index] for index in best[:2])
                    raise InputError(
                        f"{where}: {name} may mean {first} or {second}; name its folder too"
                    )
                if best:
                    return best[0]
        return None

    def _best(self, candidates: list[int], wanted: PurePosixPath) -> list[int]:
        """The matches that share the most folders with a name and do not contradict it."""
        own = wanted.parts[:-1]
        scores = {
            index: _shared(self._paths[index].parts[:-1], own)
            for index in candidates
            if not (self._folders & set(own)) - set(self._paths[index].parts[:-1])
        }
        return [index for index, score in scores.items() if score == max(scores.values())]


def as_path(name: str) -> PurePosixPath:
    """The path in a name that may be of Windows, an address, or hold ``?d=`` of Label Studio."""
    plain = name.strip().replace("\\", "/")
    if "?d=" in plain:
        plain = plain.partition("?d=")[2]
    elif "://" in plain:  # an address, whose signature follows the name
        plain = plain.partition("?")[0]
    return PurePosixPath(unquote(plain) if "%" in plain else plain)


def _file_key(path: PurePosixPath) -> str:
    """A file's name with its ending in lower case."""
    return path.stem + path.suffix.lower()


def _shared(folders: tuple[str, ...], others: tuple[str, ...]) -> int:
    """How many of the last folders of two paths are equal."""
    count = 0
    for own, other in zip(reversed(folders), reversed(others), strict=False):
        if own != other:
            break
        count += 1
    return count


def _without_upload(path: PurePosixPath) -> PurePosixPath | None:
    found = UPLOADED.match(path.name)
    if found is None or found.end() == len(path.name):
        return None
    return PurePosixPath(*path.parts[:-1], path.name[found.end() :])
