"""Routes: quotas of owners."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from evornn.service.api.analysis import validate
from evornn.service.api.auth import Admin, Reader
from evornn.service.api.bodies import plain_body
from evornn.service.api.examples import QUOTA_BODY
from evornn.service.api.parameters import PREFIX, errors, json
from evornn.service.api.parameters import service_of as service
from evornn.store.records import Quota

router = APIRouter(prefix=PREFIX, tags=["users"])
Limit = Annotated[int | None, Field(ge=-1, lt=2**63)]


class NewQuota(BaseModel):
    """The body of POST /quotas. Limits that are left out stay; -1: no limit; null: as for all."""

    model_config = ConfigDict(extra="forbid", strict=True)
    owner: str = Field("", max_length=200)
    queued: Limit = None
    running: Limit = None
    priority: Limit = None
    upload_bytes: Limit = None
    stored_bytes: Limit = None


@router.get("/quotas", response_model=list[Quota], responses=errors(401, 403), summary="List quotas")
def quotas(request: Request, caller: Reader) -> Response:
    """List the limits that hold for all (`owner` is empty) and for those who have their own; -1: no limit. Users who
    aren't admins see their own only."""
    store = service(request, caller).store
    known = store.quotas() if caller.has_scope("admin") else [store.quota(caller.name)]
    return json(list[Quota], known)


@router.post(
    "/quotas",
    response_model=Quota,
    responses=errors(400, 401, 403, 413, 415),
    openapi_extra=QUOTA_BODY,
    summary="Set a quota",
)
def set_quota(request: Request, caller: Admin, body: Annotated[Any, Depends(plain_body)]) -> Response:
    """Set limits of an owner, or of all who have none of their own. Returns the limits that hold from now on."""
    payload = validate(NewQuota, body)
    limits = payload.model_dump(exclude_unset=True, exclude={"owner"})
    return json(Quota, service(request, caller).store.set_quota(payload.owner, limits))
