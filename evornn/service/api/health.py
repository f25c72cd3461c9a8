"""Whether the server lives, whether it can work, and its metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from evornn.service.api.auth import Reader
from evornn.service.api.metrics import MEDIA, Metrics
from evornn.service.api.parameters import errors, json, service_of
from evornn.store.upgrades import ensure_schema

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=dict[str, str], summary="The server lives")
def healthz() -> Response:
    return json(dict[str, str], {"status": "alive"})


@router.get("/readyz", response_model=dict[str, str], responses=errors(), summary="The database answers")
def readyz(request: Request) -> Response:
    """The database can be reached and has this evornn's schema; else 503."""
    ensure_schema(service_of(request).store, create=False)
    return json(dict[str, str], {"status": "ready"})


@router.get("/metrics", response_class=Response, responses=errors(401, 403), summary="For Prometheus")
def metrics(request: Request, caller: Reader) -> Response:
    server_metrics: Metrics = request.app.state.metrics
    return Response(server_metrics.text(), media_type=MEDIA)
