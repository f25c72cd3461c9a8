"""Names that users give: of experiments, owners, tokens, runs."""

from __future__ import annotations

from evornn.store.errors import StoreError

NAME = 200  # characters


def check_names(**names: str) -> None:
    """Check that names are short and can be stored in every database. Raises StoreError."""
    for what, name in names.items():
        if len(name) > NAME:
            raise StoreError(f"the {what} {name[:40]!r}… has {len(name)} characters, {NAME} are allowed: shorten it")
        if "\0" in name or name != name.encode(errors="replace").decode():
            raise StoreError(f"the {what} {name!r} has invalid characters: leave them out")
