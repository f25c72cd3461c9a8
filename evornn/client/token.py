"""Where a user's token lies: in the environment, or in a file that nobody else can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from evornn.errors import EvornnError

VARIABLE = "EVORNN_TOKEN"
FILE_VARIABLE = "EVORNN_TOKEN_FILE"
DEFAULT_FILE = Path("~/.config/evornn/token")


def default_token() -> str | None:
    """EVORNN_TOKEN; or what the file EVORNN_TOKEN_FILE says, `~/.config/evornn/token`; None where there is neither.

    Raises EvornnError for a file that others can read, or that can't be read at all.
    """
    if token := os.environ.get(VARIABLE, "").strip():
        return token
    env_file = os.environ.get(FILE_VARIABLE)
    file = Path(env_file or DEFAULT_FILE).expanduser()
    if not env_file and not file.is_file():
        return None
    try:
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise EvornnError(f"the token file {file} can be read by others: chmod 600 {file}")
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EvornnError(f"the token file {file} can't be read ({error}): name another with {FILE_VARIABLE}") from None
