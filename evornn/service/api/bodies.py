"""Bodies of requests: at most 1 MiB of JSON or YAML as plain data, without values that a database can't store."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evornn.errors import EvornnError
from evornn.experiments.yaml import parse
from evornn.service.api import problems
from evornn.service.evaluation_request import Format
from evornn.service.wire import LONGEST_BODY, SAFETENSORS
from evornn.settings import MAX_DEPTH
from evornn.store.registry import MOST_BYTES

LIMIT = LONGEST_BODY
YAML_LIMIT = 2**16  # bytes; parsing it is a hundred times slower
LONGEST_TEXT = 100_000  # characters
LONGEST_LIST = 100_000
MAX_INTEGER = 2**63
JSON_TYPES = ("application/json",)
CSV, TEXT, HTML = "text/csv", "text/plain", "text/html"
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
TOO_LARGE = "the body is larger than {:,} bytes: send less"
MODEL_TYPES = (SAFETENSORS, "application/octet-stream")
MODEL_PATH = re.compile(r"/api/v1/models/[^/]+")  # where a file of a model may be sent


class BodyLimit:
    """Refuses bodies over the limit, including those without a Content-Length. Files of models have their own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_model = scope["method"] == "POST" and MODEL_PATH.fullmatch(scope["path"])
        limit = MOST_BYTES if is_model else LIMIT
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12 or int(length) > limit:
            refusal = problems.problem_response(413, TOO_LARGE.format(limit), {"Connection": "close"})
            await refusal(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise HTTPException(413, TOO_LARGE.format(limit))
            return message

        await self.app(scope, counted, send)


class WholeBody:
    """Receives a body before the app is called: an app in threads would keep one busy as long as a client is slow."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        messages = [await receive()] if scope["type"] == "http" else []
        while messages and messages[-1].get("more_body"):
            messages.append(await receive())

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self.app(scope, replay, send)


async def plain_body(request: Request) -> Any:
    """The body as plain data, by its content type. Raises HTTPException 413 or 415, EvornnError if it is malformed."""
    kind, body = await _raw_body(request, JSON_TYPES + YAML_TYPES, "JSON or YAML in UTF-8")
    if kind in YAML_TYPES and len(body) > YAML_LIMIT:
        raise HTTPException(413, f"larger than {YAML_LIMIT:,} bytes, which YAML may have here: send JSON")
    return await run_in_threadpool(read_json if kind in JSON_TYPES else read_yaml, body)


async def rows_body(request: Request) -> tuple[bytes, bool]:
    """Rows for a model: the body, and whether it is CSV, else JSON. Raises HTTPException 413 or 415."""
    kind, body = await _raw_body(request, (*JSON_TYPES, CSV), "JSON or CSV in UTF-8")
    return body, kind == CSV


async def data_body(request: Request) -> tuple[bytes, Format]:
    """Rows or a text with the true answers, and their format; nothing where the query names a data set. Raises
    HTTPException 413 or 415."""
    if "data" in request.query_params:
        return b"", "json"
    kind, body = await _raw_body(request, (*JSON_TYPES, CSV, TEXT), "JSON, CSV or a text")
    return body, "csv" if kind == CSV else "text" if kind == TEXT else "json"


async def model_body(request: Request) -> Any:
    """The bytes of a model's file, or plain data that name a run. Raises HTTPException 413 or 415, EvornnError."""
    kind, body = await _raw_body(request, JSON_TYPES + MODEL_TYPES, "JSON that names a run, or the file of a model")
    if kind in MODEL_TYPES:
        return body
    if len(body) > LIMIT:
        raise HTTPException(413, TOO_LARGE.format(LIMIT))
    return await run_in_threadpool(read_json, body)


async def _raw_body(request: Request, kinds: tuple[str, ...], what: str) -> tuple[str, bytes]:
    """The content type, which must be one of these, and the body. Raises HTTPException 413 or 415."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    kind = kind.strip()
    if kind not in kinds or not _is_utf8(parameters):
        raise HTTPException(415, f"send {what}: Content-Type: {', or '.join(kinds)}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "send the body as it is: without Content-Encoding")
    return kind, await request.body()


def read_json(body: bytes) -> Any:
    """Parse JSON (RFC 8259) with unique keys and finite numbers. Raises EvornnError."""
    try:
        data = json.loads(
            _decode_text(body),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_parse_finite,
            parse_int=_parse_integer,
        )
    except RecursionError:
        raise EvornnError(f"body: nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise EvornnError(f"body: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    check_storable(data)
    return data


def read_yaml(body: bytes) -> Any:
    """Parse YAML, as specs are written in it. Raises EvornnError."""
    data = parse(_decode_text(body), "body")
    check_storable(data)
    return data


def check_storable(data: Any, depth: int = 0) -> None:
    """Refuse values that a database can't store. Raises EvornnError."""
    if depth > MAX_DEPTH:
        raise EvornnError(f"body: nested deeper than {MAX_DEPTH} levels")
    if isinstance(data, str):
        _check_text(data)
    elif isinstance(data, dict):
        for key, value in data.items():
            if not isinstance(key, str):
                raise EvornnError("body: a key that isn't text: put it into quotes")
            _check_text(key)
            check_storable(value, depth + 1)
    elif isinstance(data, list):
        if len(data) > LONGEST_LIST:
            raise EvornnError(f"body: a list of more than {LONGEST_LIST:,} items")
        for value in data:
            check_storable(value, depth + 1)
    elif isinstance(data, int) and not -MAX_INTEGER <= data < MAX_INTEGER:
        raise EvornnError("body: an integer beyond 64 bits")


def _check_text(text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise EvornnError(f"body: a text of more than {LONGEST_TEXT:,} characters")
    if "\0" in text:
        raise EvornnError("body: a NUL character, which databases can't store")
    if any("\ud800" <= c <= "\udfff" for c in text) if not text.isascii() else False:
        raise EvornnError("body: half of a character (a lone surrogate)")


def _decode_text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise EvornnError("body: not text in UTF-8") from None


def _is_utf8(parameters: str) -> bool:
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    return charset in ("", "utf-8", "utf8")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise EvornnError("body: a key is given twice in one object: remove one")
    return mapping


def _refuse_constant(name: str) -> NoReturn:
    raise EvornnError("body: NaN and Infinity are not JSON: give a finite number")


def _parse_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise EvornnError("body: a number too large for 64 bits: give a finite one")
    return number


def _parse_integer(text: str) -> int:
    if len(text) > 20:
        raise EvornnError("body: an integer beyond 64 bits")
    return int(text)
