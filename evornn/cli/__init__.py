"""The command line: `evornn …`. Exit status: 0 success, 1 an error that the message explains, 2 a wrong command line,
3 some runs failed, 130 interrupted (`evornn resume` continues; jobs of a server continue there)."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> None:
    """The `evornn` command."""
    _prepare_streams()
    _check_working_folder()
    from evornn.cli.app import app
    from evornn.cli.options import name_target, repeat_target
    from evornn.cli.run import CommandInterrupted
    from evornn.errors import EvornnError

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _run(app)
    except EvornnError as error:
        _fail(name_target(str(error)))
    except CommandInterrupted as interrupt:
        _print_error(str(interrupt))
        sys.exit(130)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != 130:  # Typer exits with 130 on an interrupt
            raise
        command = f"evornn resume{repeat_target()}"
        _print_error(f"interrupted: nothing is lost, `{command}` picks up where it left off")
        sys.exit(130)
    except BrokenPipeError:  # `evornn ls | head`
        sys.stderr.close()
    except OSError as error:  # a limit of the machine
        _fail(_explain(error))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # from here on, another signal simply ends the process


def _prepare_streams() -> None:
    """Print `?` for letters that the terminal's encoding lacks, and nothing where a stream is closed (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # until the process ends
        elif hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="replace")


def _check_working_folder() -> None:
    """Refuse a folder that was deleted: libraries end the process where they don't find themselves from there."""
    try:
        os.getcwd()
    except OSError:
        _fail("the working folder does not exist any more: change to another")


def _run(app: Callable[[], None]) -> None:
    """Run the command and write all its output, so that a full disk is noticed here. Typer ends with SystemExit."""
    try:
        app()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()


def _explain(error: OSError) -> str:
    """What the machine refused, and what to do. An error of a stream, unlike one of a file, names no file."""
    if error.filename is None and error.errno in FULL:
        _discard_output()
        return f"can't write the output: {error.strerror}: free some space, or write it elsewhere"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}: check the path, its permissions and the space on its disk"


def _discard_output() -> None:
    """What could not be written would fail once more at the end of the process."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str) -> None:
    _print_error(json.dumps({"error": message}) if "--json" in sys.argv else f"error: {message}")
    sys.exit(1)


def _print_error(text: str) -> None:
    with suppress(OSError):  # the exit status still says it
        print(text, file=sys.stderr, flush=True)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
