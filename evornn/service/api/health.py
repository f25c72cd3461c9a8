"""Routes: liveness, readiness and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from evornn.service.api.auth import Reader
from evornn.service.api.metrics import MEDIA, Metrics
from evornn.service.api.parameters import errors, json, service_of
from evornn.store.upgrades import ensure_schema

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=dict[str, str], summary="Liveness")
def healthz() -> Response:
    """Answer that the server is alive."""
    return json(dict[str, str], {"status": "alive"})


@router.get("/readyz", response_model=dict[str, str], responses=errors(), summary="Readiness")
def readyz(request: Request) -> Response:
    """Check that the database can be reached and has this version's schema; otherwise 503."""
    ensure_schema(service_of(request).store, create=False)
    return json(dict[str, str], {"status": "ready"})


@router.get("/metrics", response_class=Response, responses=errors(401, 403), summary="Metrics for Prometheus")
def metrics(request: Request, caller: Reader) -> Response:
    """Return the metrics in Prometheus' text format."""
    server_metrics: Metrics = request.app.state.metrics
    return Response(server_metrics.text(), media_type=MEDIA)
