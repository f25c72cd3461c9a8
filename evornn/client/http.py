"""Requests to a server: timeouts, retries where these are safe, and the server's errors as evornn's exceptions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from evornn.errors import EvornnError, require
from evornn.service.wire import AccessDenied, Page, decode, error_from_problem
from evornn.store.errors import Unreachable

with require("server", "a connection to a server"):
    import httpx

PREFIX = "/api/v1"
CONNECT = 5.0  # seconds
READ = 90.0  # seconds: longer than the server's own limit
TRIES = 5
PAUSE = 0.25  # seconds before the second try, doubled before each further one
LONGEST_PAUSE = 10.0  # seconds
RETRY_STATUSES = (502, 503, 504)
NO_TOKEN = "the server requires a valid token in EVORNN_TOKEN: `evornn token add NAME` on the server creates one"


class HttpClient:
    """A connection to a server. Safe to use from several threads.

    Args:
        url: Address of the server.
        token: Access token.
        tries: Maximum number of attempts at a request.
    """

    def __init__(self, url: str, token: str | None, tries: int = TRIES) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise EvornnError(f"{url!r} is not a server's address: give one like http://localhost:8000")
        if token is not None and not (token.isascii() and token.isprintable()):
            raise EvornnError("the token has invalid characters: copy it again")
        self.url, self.tries = url.rstrip("/"), tries
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        timeout = httpx.Timeout(READ, connect=CONNECT)
        self._client = httpx.Client(base_url=self.url + PREFIX, headers=headers, timeout=timeout)

    def get(self, kind: Any, path: str, **parameters: Any) -> Any:
        """GET a resource.

        Args:
            kind: Type of the response.
            path: Path below the API's prefix.
            parameters: Query parameters; None is left out.

        Raises:
            EvornnError: The server is unreachable or responds with an error.
        """
        return self.read(kind, self.raw(path, **parameters))

    def raw(self, path: str, **parameters: Any) -> bytes:
        """GET a resource as bytes."""
        params = {name: value for name, value in parameters.items() if value is not None}
        return self._request("GET", path, True, params=params)

    def post(
        self, kind: Any, path: str, body: Any = None, idempotent: bool = False, name: str = "spec", **more: Any
    ) -> Any:
        """POST a body.

        Args:
            kind: Type of the response.
            path: Path below the API's prefix.
            body: Plain data.
            idempotent: Whether the request may be repeated after a broken connection.
            name: What errors call the body.
            more: Further arguments of httpx.

        Raises:
            EvornnError: The server is unreachable or responds with an error.
        """
        if body is not None:
            more["content"] = to_json(body, name)
            more["headers"] = {"Content-Type": "application/json", **more.get("headers", {})}
        return self.read(kind, self._request("POST", path, idempotent, **more))

    def post_raw(self, path: str, **more: Any) -> bytes:
        """POST what may be repeated, and return the response as bytes."""
        return self._request("POST", path, True, **more)

    def delete(self, path: str) -> bytes:
        """DELETE a resource. Returns the body of the response."""
        return self._request("DELETE", path, False)

    def pages(
        self, kind: Any, path: str, size: int, most: int | None, /, by: str = "cursor", **parameters: Any
    ) -> Iterator[Any]:
        """GET the items of a list, page by page.

        Args:
            kind: Type of an item.
            path: Path below the API's prefix.
            size: Items per page.
            most: Maximum number of items; None: all.
            by: Query parameter that takes the cursor of the next page.
            parameters: Further query parameters.

        Yields:
            The items.
        """
        count = 0
        while most is None or count < most:
            limit = size if most is None else min(size, most - count)
            page = self.get(Page[kind], path, limit=limit, **parameters)
            yield from page.items
            count += len(page.items)
            if page.next is None:
                return
            parameters[by] = page.next

    def read(self, kind: Any, data: bytes) -> Any:
        """Decode a response of this type. Raises EvornnError for anything else."""
        try:
            return decode(kind, data)
        except ValueError:
            raise EvornnError(
                f"{self.url} sends an unexpected response: is it an evornn server of this version?"
            ) from None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _request(self, method: str, path: str, idempotent: bool, **more: Any) -> bytes:
        """The body of a successful response. Raises Unreachable, AccessDenied, or the server's error."""
        for attempt in range(1, self.tries + 1):
            last = attempt == self.tries
            try:
                answer = self._client.request(method, path, **more)
            except httpx.InvalidURL as error:
                raise EvornnError(f"{self.url!r} is not a server's address ({error})") from None
            except httpx.TransportError as error:
                if last or not (idempotent or isinstance(error, httpx.ConnectError)):
                    raise Unreachable(
                        f"the server {self.url} can't be reached ({str(error) or type(error).__name__}): "
                        "check the address, or start it with `evornn serve`"
                    ) from None
                time.sleep(_pause(attempt, {}))
                continue
            if answer.is_success:
                return answer.content
            if last or not idempotent or answer.status_code not in RETRY_STATUSES:
                raise _error(answer)
            time.sleep(_pause(attempt, answer.headers))
        raise AssertionError("the last try returns or raises")


def _pause(attempt: int, headers: Mapping[str, str]) -> float:
    """Seconds until the next attempt: as the server requests, or twice as long as before."""
    retry_after = headers.get("retry-after", "")
    seconds = float(retry_after) if retry_after.isdigit() else PAUSE * 2.0 ** (attempt - 1)
    return min(LONGEST_PAUSE, seconds)


def _error(answer: httpx.Response) -> EvornnError:
    problem = _problem(answer)
    if answer.status_code == 401:
        return AccessDenied(NO_TOKEN)
    if answer.status_code == 403:
        return AccessDenied(str(problem.get("detail", "the server refuses this token")))
    return error_from_problem(problem)


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    return {"detail": f"the server responds {answer.status_code} {answer.reason_phrase}: is it an evornn server?"}


def to_json(body: Any, name: str) -> bytes:
    """Encode plain data. Raises EvornnError for what JSON can't express."""
    from evornn.experiments.yaml import check_plain

    check_plain(body, name)
    return json.dumps(body, allow_nan=False).encode()
