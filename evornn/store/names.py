"""Names that users give: of experiments, owners, tokens, runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from evornn.errors import EvornnError, short_repr
from evornn.store.errors import StoreError

NAME = 200  # characters
MODEL = "[A-Za-z0-9][A-Za-z0-9_-]{0,99}"  # a model's name
ALIAS = "[A-Za-z][A-Za-z0-9_-]{0,99}"  # of one of its versions; it begins with a letter, a version is a number
REFERENCE = f"({MODEL})(?:@({ALIAS})|:([1-9][0-9]{{0,8}}))?"


def check_names(**names: str) -> None:
    """Check that names are short and can be stored in every database. Raises StoreError."""
    for what, name in names.items():
        if len(name) > NAME:
            raise StoreError(f"the {what} {name[:40]!r}… has {len(name)} characters, {NAME} are allowed: shorten it")
        if "\0" in name or name != name.encode(errors="replace").decode():
            raise StoreError(f"the {what} {name!r} has invalid characters: leave them out")


@dataclass(frozen=True)
class ModelReference:
    """Which version of a model is meant: `NAME`, its newest one; `NAME@ALIAS`; or `NAME:VERSION`."""

    name: str
    alias: str | None = None
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one. Raises EvornnError.

        >>> ModelReference.parse("load@production")
        ModelReference(name='load', alias='production', version=None)
        """
        match = re.fullmatch(REFERENCE, text)
        if match is None:
            raise EvornnError(
                f"{short_repr(text)} names no model: write NAME, NAME@ALIAS or NAME:VERSION, as in load:2"
            )
        name, alias, version = match.groups()
        return cls(name, alias, None if version is None else int(version))

    def __str__(self) -> str:
        return self.name + (f"@{self.alias}" if self.alias else f":{self.version}" if self.version else "")


def check_model_name(name: str) -> None:
    """Check the name of a new model. Raises EvornnError."""
    _check_word("name of a model", MODEL, name, "begins with a letter or digit")


def check_alias(alias: str) -> None:
    """Check a new alias. Raises EvornnError."""
    _check_word("alias", ALIAS, alias, "begins with a letter")


def _check_word(what: str, pattern: str, word: str, how: str) -> None:
    if re.fullmatch(pattern, word) is None:
        raise EvornnError(f"{short_repr(word)}: the {what} {how}, and has letters, digits, _ and -, 100 at most")
