"""What pages offer to be taken home: a run's model, a job's report."""

from __future__ import annotations

from flask import Flask, Response
from flask.typing import ResponseReturnValue

from evornn.dashboards.page_context import Desk
from evornn.errors import EvornnError
from evornn.service.api.problems import of_error
from evornn.service.reading.saved_network import Model


def install(server: Flask, desk: Desk) -> None:
    """The addresses of files. Each is sent as an attachment: none is ever opened in a page of this server."""

    @server.get("/model/<int:run>")
    def model(run: int) -> ResponseReturnValue:
        try:
            genome = desk.store.champion(run)
            content = Model(desk.verbs.design(run), genome).packed()
        except EvornnError as error:
            return _refused(error)
        return _file(content, f"run-{run}.safetensors", "application/vnd.safetensors")

    @server.get("/report/<int:job>")
    def report(job: int) -> ResponseReturnValue:
        try:
            page = desk.verbs.report(job)
        except EvornnError as error:
            return _refused(error)
        return _file(page.encode(), f"job-{job}.html", "text/html")


def _file(content: bytes, name: str, kind: str) -> Response:
    return Response(content, headers={"Content-Disposition": f'attachment; filename="{name}"'}, mimetype=kind)


def _refused(error: EvornnError) -> Response:
    return Response(str(error), of_error(error).status_code, mimetype="text/plain")
