"""`evornn drain`: takes a machine out of a cluster without losing work."""

from __future__ import annotations

from typing import Annotated

import typer

from evornn.cli.options import Json
from evornn.cli.output import show


def drain(
    node: Annotated[str, typer.Argument(help="Name or IP address of its machine, or the start of its identifier.")],
    address: Annotated[str, typer.Option(help="Ray cluster, for example host:6379.")],
    as_json: Json = False,
) -> None:
    """Drain a node of a Ray cluster: its runs return to the queue at their checkpoints, and it leaves when idle."""
    from evornn.workers import cluster

    drained = cluster.drain(address, node)
    if as_json:
        show({"node": drained}, True)
    else:
        print(f"{drained} gets no further runs; those that it has return at their next checkpoint")
