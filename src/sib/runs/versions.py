"""The versions that a run records."""

import platform
from importlib.metadata import PackageNotFoundError, version

from sib.runs.source import source
from sib.runs.state_file import FORMAT


def versions() -> dict[str, str]:
    """Versions of everything that a result depends on, and the source of sib itself."""
    found = {"format": str(FORMAT), "python": platform.python_version()}
    for package in ("sib", "torch", "torchvision", "numpy", "scikit-learn", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found | source()
