"""How the reference shows docstrings: their examples as code, wherever they stand in the text."""

import griffe


class Examples(griffe.Extension):
    """Put ``>>>`` lines and their output between fences."""

    def on_object(self, *, obj, **others):
        """Change the docstring of each object once it is read."""
        if obj.docstring is not None and ">>>" in obj.docstring.value:
            obj.docstring.value = "\n".join(_fenced(obj.docstring.value.splitlines()))


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
