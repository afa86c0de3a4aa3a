"""What the build of the site adds to MkDocs: mathematics without a script, and files of the root.

Formulas become MathML, which browsers draw themselves. Some pages are files of the root of the
repository, and their links are rewritten to those of the site.
"""

import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "releasing.md": "RELEASING.md",
    "code_of_conduct.md": "CODE_OF_CONDUCT.md",
}
FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>',
    re.DOTALL,
)


def on_files(files, config):
    """Add the pages that stand in the root."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        for other, name in PAGES.items():
            text = text.replace(f"]({name})", f"]({other})")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_content(html_text, page, config, files):
    """Turn the formulas of a page into MathML."""
    return FORMULA.sub(_as_mathml, html_text)


def _as_mathml(match):
    display = "block" if match[1] == "div" else "inline"
    formula = convert(html.unescape(match[2]).strip(), display=display)
    return f'<{match[1]} class="formula">{formula}</{match[1]}>'


def on_page_markdown(markdown, page, config, files):
    """Write the table of metrics, from the registry itself."""
    return markdown.replace("<!-- table of metrics -->", _metrics()) if page else markdown


def _metrics():
    # the file alone, since the package would load torch
    import sys

    sys.path.insert(0, str(ROOT / "src"))
    try:
        from sib.metrics.built_in import BUILT_IN
    finally:
        sys.path.remove(str(ROOT / "src"))
    rows = ["| name | function, class | better | source |", "|---|---|---|---|"]
    for spec in BUILT_IN:
        function = str(spec.function).partition(":")[2]
        better = "larger" if spec.higher_is_better else "smaller"
        rows.append(
            f"| {spec.name} | `{function}`, `{spec.class_name}` | {better} | {spec.source} |"
        )
    return "\n".join(rows)
