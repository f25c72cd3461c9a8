"""The bodies of requests in the OpenAPI description, each with an example that works."""

from __future__ import annotations

from typing import Any

from evornn.service.wire import SAFETENSORS
from evornn.store.quotas import LIMITS

SPEC: dict[str, Any] = {
    "name": "adding",
    "tasks": [{"kind": "adding", "length": 10, "train": 64, "valid": 32, "test": 32}],
    "networks": [{"kind": "lstm", "units": 4}],
    "trainers": [{"kind": "snes", "population": 8}, {"kind": "adam"}],
    "seeds": 2,
    "budget": {"steps": 50_000, "marks": 5},
}
TUNING: dict[str, Any] = {
    **SPEC,
    "trainers": [{"kind": "adam", "learning_rate": {"from": 0.001, "to": 0.1, "scale": "log"}}],
    "tuning": {"trials": 4, "seeds": 1, "batch": 2},
}
FIELDS: dict[str, Any] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 200},
    "tasks": {"type": "array", "items": {"type": "object"}},
    "networks": {"type": "array", "items": {"type": "object"}},
    "trainers": {"type": "array", "items": {"type": "object"}},
    "seeds": {"oneOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
    "budget": {"oneOf": [{"type": "object"}, {"type": "integer"}]},
    "loss": {"type": "string"},
    "regularisation": {"type": "object"},
    "resources": {"type": "object"},
    "start_from": {"type": "object"},
}
SPEC_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Spec",
    "description": "See docs/guides/experiments.md; GET /catalog lists kinds and settings.",
    "required": ["name", "tasks", "networks", "trainers", "seeds", "budget"],
    "properties": FIELDS,
}
TUNING_SCHEMA: dict[str, Any] = {
    **SPEC_SCHEMA,
    "title": "Tuning",
    "description": "A spec with ranges, see docs/guides/tuning.md.",
    "required": [*SPEC_SCHEMA["required"], "tuning"],
    "properties": {**FIELDS, "tuning": {"type": "object"}},
}
QUERY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Query",
    "required": ["sql"],
    "additionalProperties": False,
    "properties": {
        "sql": {"type": "string", "minLength": 1, "maxLength": 100_000},
        "limit": {"type": "integer", "minimum": 1, "maximum": 10_000},
        "timeout": {"type": "number", "minimum": 0.1, "maximum": 30},
    },
}
TOKEN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "NewToken",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$"},
        "scope": {"enum": ["read", "submit", "admin"]},
        "lifetime": {"type": "number", "exclusiveMinimum": 0, "description": "Seconds after which it expires."},
    },
}
QUOTA_LIMIT = {"type": ["integer", "null"], "minimum": -1}
QUOTA_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "NewQuota",
    "description": "Limits that are left out stay; -1: no limit; null: as for all.",
    "additionalProperties": False,
    "properties": {
        "owner": {"type": "string", "maxLength": 200, "description": "Empty: all who have no limit of their own."},
        **dict.fromkeys(LIMITS, QUOTA_LIMIT),
    },
}
MODEL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "NewModelVersion",
    "required": ["run"],
    "additionalProperties": False,
    "properties": {
        "run": {"type": "integer", "minimum": 1, "description": "A run that has succeeded."},
        "note": {"type": "string", "maxLength": 10_000},
    },
}
CELL = {"type": ["number", "string", "boolean", "null"]}
ROWS_SCHEMA: dict[str, Any] = {
    "title": "Rows",
    "description": "Objects, one for each row, or lists, one for each column; in original units.",
    "oneOf": [
        {"type": "array", "items": {"type": "object", "additionalProperties": CELL}},
        {"type": "object", "additionalProperties": {"type": "array", "items": CELL}},
    ],
}
ROWS = {"load": [52.1, 53.0, 51.2, 49.9, 48.7, 50.3]}
SELECT = "SELECT network, trainer, median_test_loss FROM leaderboard ORDER BY place"


def _body(schema: dict[str, Any], example: Any, *media: str) -> dict[str, Any]:
    content = {kind: {"schema": schema, "example": example} for kind in ("application/json", *media)}
    return {"requestBody": {"required": True, "content": content}}


SPEC_BODY = _body(SPEC_SCHEMA, SPEC, "application/yaml")
TUNING_BODY = _body(TUNING_SCHEMA, TUNING, "application/yaml")
QUERY_BODY = _body(QUERY_SCHEMA, {"sql": SELECT, "limit": 10})
QUOTA_BODY = _body(QUOTA_SCHEMA, {"owner": "ci", "queued": 1000, "running": 8})
MODEL_BODY = _body(MODEL_SCHEMA, {"run": 1, "note": "trained on the data of 2024"})
MODEL_BODY["requestBody"]["content"][SAFETENSORS] = {
    "schema": {"type": "string", "format": "binary"},
    "example": "(a file of `evornn model RUN FILE.safetensors`)",
}
ROWS_BODY = _body(ROWS_SCHEMA, ROWS)
ROWS_BODY["requestBody"]["content"]["text/csv"] = {"schema": {"type": "string"}, "example": "load\n52.1\n53.0\n51.2\n"}
DATA_BODY = _body(ROWS_SCHEMA, ROWS)
DATA_BODY["requestBody"]["required"] = False
DATA_BODY["requestBody"]["content"] |= {
    "text/csv": {"schema": {"type": "string"}, "example": "load\n52.1\n53.0\n51.2\n49.9\n48.7\n50.3\n"},
    "text/plain": {"schema": {"type": "string"}, "example": "A text, for a model of a text."},
}
TOKEN_BODY = _body(TOKEN_SCHEMA, {"name": "ci", "scope": "submit"})
