"""The user's access token: in the environment, or in a file that only its owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from shlex import quote

from evornn.errors import EvornnError

VARIABLE = "EVORNN_TOKEN"
FILE_VARIABLE = "EVORNN_TOKEN_FILE"
DEFAULT_FILE = Path("~/.config/evornn/token")


def default_token() -> str | None:
    """The token in EVORNN_TOKEN, or in the file EVORNN_TOKEN_FILE (default `~/.config/evornn/token`); None if there is
    neither.

    Raises EvornnError for a file that others can read, or that can't be read at all.
    """
    if token := os.environ.get(VARIABLE, "").strip():
        return token
    env_file = os.environ.get(FILE_VARIABLE)
    file = _expand(Path(env_file or DEFAULT_FILE))
    if not env_file and not _is_file(file):
        return None
    try:
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise EvornnError(f"the token file {file} can be read by others: chmod 600 {quote(str(file))}")
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EvornnError(f"the token file {file} can't be read ({error}): name another with {FILE_VARIABLE}") from None


def _expand(file: Path) -> Path:
    """With the home of this user, who may have none."""
    try:
        return file.expanduser()
    except RuntimeError:
        return file


def _is_file(file: Path) -> bool:
    """False also where HOME is another user's, as sudo may leave it."""
    try:
        return file.is_file()
    except OSError:
        return False
