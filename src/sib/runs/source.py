"""Which source of sib made a result: a checksum of it and, in a clone, its git commit.

Git itself is not run, since it runs programs that a repository's own configuration names.
"""

import hashlib
import re
import struct
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
LARGEST = 2**26
"""Most bytes to read of a git file."""
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
REFERENCE = re.compile(r"ref: (refs/[\w./+@-]+)")


@cache
def source(package: Path = PACKAGE) -> dict[str, str]:
    """Identify the source code of the package.

    Args:
        package: folder of the package's modules.

    Returns:
        ``source``, a SHA-256 of its modules. If the package lies in its own clone, also ``commit``,
        followed by ``with changes`` if a module differs from git's index or is missing there. A
        change that is staged but not committed is not noticed; ``source`` differs then.
    """
    modules = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    digest = hashlib.sha256()
    for name in sorted(modules):
        content = modules[name].read_bytes()
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    found = {"source": digest.hexdigest()[:16]}
    root = package.parents[1]
    if package.parent.name != "src" or not (root / "pyproject.toml").is_file():
        return found  # a copy among other packages, even if that folder is in some repository
    folder = _git_folder(root)
    commit = None if folder is None else _commit(folder)
    if folder is None or commit is None:
        return found
    index = _index(folder / "index")
    names = {f"src/{package.name}/{name}": path for name, path in modules.items()}
    changed = index is not None and any(
        index.get(name) != _blob(path.read_bytes()) for name, path in names.items()
    )
    return {"commit": commit + (" with changes" if changed else "")} | found


def _git_folder(root: Path) -> Path | None:
    """The repository of a clone, or of one of its worktrees, where ``.git`` is a file."""
    path = root / ".git"
    if path.is_dir():
        return path
    text = _text(path) or ""
    return root / text.removeprefix("gitdir: ") if text.startswith("gitdir: ") else None


def _commit(folder: Path) -> str | None:
    """The commit that is checked out; None if it cannot be read."""
    head = _text(folder / "HEAD") or ""
    if COMMIT.fullmatch(head):
        return head
    named = REFERENCE.fullmatch(head)
    if named is None or ".." in named[1]:
        return None
    shared = folder / (_text(folder / "commondir") or "")
    found = _text(shared / named[1]) or _packed(shared / "packed-refs", named[1])
    return found if found and COMMIT.fullmatch(found) else None


def _packed(path: Path, name: str) -> str | None:
    for line in (_text(path) or "").splitlines():
        commit, _, own = line.partition(" ")
        if own == name:
            return commit
    return None


def _text(path: Path) -> str | None:
    content = _content(path)
    return None if content is None else content.decode("utf-8", "replace").strip()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.stat().st_size <= LARGEST else None
    except OSError:
        return None


def _index(path: Path) -> dict[str, str] | None:
    """The SHA-1 of each file in git's index, versions 2 and 3; None if it cannot be read.

    Source: git's Documentation/gitformat-index.txt
    """
    content = _content(path) or b""
    if len(content) < 12:
        return None
    kind, version, count = struct.unpack_from(">4sLL", content)
    if kind != b"DIRC" or version not in (2, 3):
        return None
    found: dict[str, str] = {}
    place = 12
    for _ in range(count):
        if place + 62 > len(content):
            return None
        (flags,) = struct.unpack_from(">H", content, place + 60)
        name = place + (64 if flags & 0x4000 else 62)
        end = content.find(b"\0", name)
        if end < 0:
            return None
        found[content[name:end].decode("utf-8", "replace")] = content[place + 40 : place + 60].hex()
        place += (end - place) // 8 * 8 + 8
    return found


def _blob(content: bytes) -> str:
    """Git's hash of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
