"""Downloads: the model of a run, a registered model, the report of a job, the report of a model."""

from __future__ import annotations

from flask import Flask, Response
from flask.typing import ResponseReturnValue

from evornn.dashboards.page_context import PageContext
from evornn.errors import EvornnError
from evornn.service.api.problems import error_response
from evornn.service.wire import SAFETENSORS


def install(server: Flask, context: PageContext) -> None:
    """Register the routes of files. All are sent as attachments, so that browsers never open them as pages of this
    server."""

    @server.get("/model/<int:run>")
    def model(run: int) -> ResponseReturnValue:
        try:
            content = context.caller_service.model(run).to_bytes()
        except EvornnError as error:
            return _error_response(error)
        return _file(content, f"run-{run}.safetensors", SAFETENSORS)

    @server.get("/model-file/<reference>")
    def model_file(reference: str) -> ResponseReturnValue:
        try:
            version = context.store.model(reference)
            content = context.store.model_file(version.reference)
        except EvornnError as error:
            return _error_response(error)
        return _file(content, f"{version.name}-{version.version}.safetensors", SAFETENSORS)

    @server.get("/report/<int:job>")
    def report(job: int) -> ResponseReturnValue:
        try:
            page = context.caller_service.report(job)
        except EvornnError as error:
            return _error_response(error)
        return _file(page.encode(), f"job-{job}.html", "text/html")

    @server.get("/evaluation/<key>")
    def evaluation(key: str) -> ResponseReturnValue:
        try:
            context.require_scope("submit")
            work = context.service.evaluations.find(key)
            if not work.is_done:
                raise EvornnError("this report is still being computed: wait for it")
            page = context.caller_service.render_evaluation(work.result())
        except EvornnError as error:
            return _error_response(error)
        return _file(page.encode("utf-8", "replace"), "report.html", "text/html")


def _file(content: bytes, name: str, kind: str) -> Response:
    return Response(content, headers={"Content-Disposition": f'attachment; filename="{name}"'}, mimetype=kind)


def _error_response(error: EvornnError) -> Response:
    return Response(str(error), error_response(error).status_code, mimetype="text/plain")
