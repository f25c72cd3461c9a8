"""The front door: `evornn …`. Exit status: 0 done, 1 an error that the message explains, 2 a wrong command line, 3 some
runs failed, 130 interrupted (and `evornn resume` goes on; what a server computes goes on by itself)."""

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
        if isinstance(end, SystemExit) and end.code != 130:  # what Typer makes of an interrupt
            raise
        print("interrupted: nothing is lost, `evornn resume` goes on where it stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # `evornn ls | head`
        sys.stderr.close()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # all is said: another one just ends the process


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
