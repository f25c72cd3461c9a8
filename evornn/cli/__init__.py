"""The command line: `evornn …`. Exit status: 0 success, 1 an error that the message explains, 2 a wrong command line,
3 some runs failed, 130 interrupted (`evornn resume` continues; jobs of a server continue there)."""

from __future__ import annotations

import json
import signal
import sys
from typing import Any


def main() -> None:
    """The `evornn` command."""
    from evornn.cli.app import app
    from evornn.cli.run import CommandInterrupted
    from evornn.errors import EvornnError

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except EvornnError as error:
        text = json.dumps({"error": str(error)}) if "--json" in sys.argv else f"error: {error}"
        print(text, file=sys.stderr)
        sys.exit(1)
    except CommandInterrupted as interrupt:
        print(interrupt, file=sys.stderr)
        sys.exit(130)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != 130:  # Typer exits with 130 on an interrupt
            raise
        print("interrupted: nothing is lost, `evornn resume` picks up where it left off", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # `evornn ls | head`
        sys.stderr.close()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # from here on, another signal simply ends the process


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
