"""Examples in docstrings as code: a block that begins with `>>> ` gets a fence, which Markdown wants."""

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"(?:^[ ]*(?:>>>|\.\.\.).*\n(?:^(?!\s*$|\s*>>>).*\n)*)+", re.MULTILINE)


class Doctests(Extension):
    """For mkdocstrings."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring and ">>> " in obj.docstring.value:
            text = obj.docstring.value + "\n"
            obj.docstring.value = EXAMPLE.sub(lambda block: f"```pycon\n{block[0]}```\n", text)
