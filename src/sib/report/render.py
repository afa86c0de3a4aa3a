"""Renders templates to one self-contained page."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from sib import __version__

BREAKS = re.compile(r"([_/]+)")
TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, values: dict[str, Any]) -> str:
    """Render a page. Every value is escaped, and only the page's own script may run.

    Args:
        template: file name in `TEMPLATES`.
        values: values for the template.
    """
    script = (TEMPLATES / "flip.js").read_text(encoding="utf-8")
    shared = {"script": script, "script_hash": _hash(script), "written_by": f"sib {__version__}"}
    return _environment().get_template(template).render(values | shared)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment


def _breakable(text: str) -> Markup:
    """Text whose long names may be broken after _ and /, before anywhere else."""
    return Markup(BREAKS.sub(r"\1<wbr>", str(escape(text))))


def _hash(script: str) -> str:
    """The hash by which a content security policy allows an inline script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
