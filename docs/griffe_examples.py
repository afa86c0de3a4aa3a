"""How the reference shows docstrings: examples and tables as they stand, wherever they stand."""

import re

import griffe

RULE = re.compile(r" *=+( +=+)+ *")


class Examples(griffe.Extension):
    """Put ``>>>`` lines and their output, and plain tables, between fences."""

    def on_object(self, *, obj, **others):
        """Change the docstring of each object once it is read."""
        if obj.docstring is not None:
            lines = _fenced_tables(obj.docstring.value.splitlines())
            obj.docstring.value = "\n".join(_fenced(lines))


def _fenced(lines):
    inside = False
    for line in lines:
        starts = line.lstrip().startswith(">>>")
        if starts and not inside:
            indent = line[: len(line) - len(line.lstrip())]
            yield from ([""] if indent else [])
            yield f"{indent}```pycon"
            inside = True
        elif inside and not line.strip():  # an example ends at an empty line
            yield f"{indent}```"
            inside = False
        yield line
    if inside:
        yield f"{indent}```"


def _fenced_tables(lines):
    """A table has a rule above its head, one below, and one at its end."""
    rules = 0
    for line in lines:
        rule = RULE.fullmatch(line) is not None
        if rule and rules % 3 == 0:
            yield "```text"
        yield line
        rules += rule
        if rule and rules % 3 == 0:
            yield "```"
