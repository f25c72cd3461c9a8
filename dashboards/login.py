"""Authentication: a login with the API's tokens, sessions in a signed cookie, and protection against other sites.

The cookie contains nothing but the name of a session of this process. The token stays in the server's memory, and every
request asks the guard whether it is still valid. A restart of the server ends all sessions.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, g, redirect, render_template, request, session
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue

from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.service.api.auth import Caller, Guard

SESSION_HOURS = 12
MAX_SESSIONS = 1000  # at once; a further one ends the oldest
PUBLIC_PATHS = ("/login", "/assets/", "/_dash-component-suites/", "/_favicon.ico")  # open to all: they contain no data
INVALID_TOKEN = "This token is unknown or was revoked. `evornn token add NAME` creates one."


class Sessions:
    """The sessions of users who are logged in."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self._sessions: dict[str, tuple[float, str]] = {}  # session → when it ends, token
        self._lock = Lock()

    def begin(self, token: str) -> str | None:
        """Start a session and return its name; None for an invalid token."""
        if not _is_plausible(token) or self.guard.caller(token) is None:
            return None
        name = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._sessions) >= MAX_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[name] = (time.monotonic() + 3600 * SESSION_HOURS, token)
        return name

    def caller(self, name: str | None) -> Caller | None:
        """The user of a session; None if there is no such session, or its token was revoked."""
        until, token = self._sessions.get(name or "", (0.0, ""))
        if time.monotonic() > until:
            self.end(name)
            return None
        return self.guard.caller(token)

    def end(self, name: str | None) -> None:
        """End a session, if there is one with this name."""
        with self._lock:
            self._sessions.pop(name or "", None)


class Cookies(SecureCookieSessionInterface):
    """Cookies of sessions that start over https are sent over https only. Behind a proxy that terminates TLS, only the
    browser knows how it loaded the page: its Origin header says so, which every login must have."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the browser loaded the page over https."""
        return urlsplit(request.headers.get("Origin", "")).scheme == "https"


def protect(server: Flask, sessions: Sessions, prefix: str, hashes: Sequence[str]) -> None:
    """Require a session for every request but the public ones, and add security headers to all responses.

    Args:
        server: The dashboard's server.
        sessions: The sessions.
        prefix: Path at which the dashboard is mounted.
        hashes: Hashes of the inline scripts that pages may run.
    """
    server.secret_key = secrets.token_bytes(32)
    server.config.update(
        APPLICATION_ROOT=prefix,  # the cookie's path, too
        SESSION_COOKIE_NAME="evornn",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
    )
    server.session_interface = Cookies()
    policy = _policy(hashes)

    @server.before_request
    def authenticate() -> ResponseReturnValue | None:
        if request.method not in ("GET", "HEAD") and not is_same_origin():
            return "this request comes from another site", 403
        if request.path.startswith(PUBLIC_PATHS):
            return None
        g.caller = sessions.caller(session.get("name"))
        if g.caller is not None:
            return None
        if request.path.startswith("/_dash-"):
            return "your session has ended: log in again", 401
        return redirect(f"{prefix}login?{urlencode({'next': _current_address(prefix)})}")

    @server.route("/login", methods=["GET", "POST"])
    def login() -> ResponseReturnValue:
        following = _safe_target(request.values.get("next"), prefix)
        if request.method == "GET":
            return _form(prefix, following)
        name = sessions.begin(request.form.get("token", "").strip())
        if name is None:
            return _form(prefix, following, INVALID_TOKEN), 401
        session.clear()
        session["name"] = name
        return redirect(following)

    @server.route("/logout", methods=["POST"])
    def logout() -> ResponseReturnValue:
        sessions.end(session.get("name"))
        session.clear()
        return redirect(f"{prefix}login")

    @server.after_request
    def set_security_headers(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers["Referrer-Policy"] = "same-origin"  # without a referrer, forms would send no origin
        return response

    @server.errorhandler(EvornnError)
    def handle_error(error: EvornnError) -> ResponseReturnValue:
        return _form(prefix, prefix, str(error)), 503


def _policy(hashes: Sequence[str]) -> str:
    """The content security policy. Scripts must be files of this server or have one of the hashes. Inline styles are
    allowed, since the components use them; they can do little harm, because nothing loads from other sites."""
    return (
        f"default-src 'none'; script-src 'self' {' '.join(hashes)}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def is_same_origin() -> bool:
    """Whether a page of this server sent the request. Browsers set Origin on every POST, and no page can forge it."""
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc == request.host


def _current_address(prefix: str) -> str:
    query = request.query_string.decode("ascii", "ignore")
    return f"{prefix}{request.path.removeprefix('/')}{'?' if query else ''}{query}"


def _safe_target(address: str | None, prefix: str) -> str:
    """Where the login leads: to a page of the dashboard, never to another site."""
    inside = address is not None and address.startswith(prefix) and "\\" not in address and "//" not in address
    return address if inside and address is not None and address.isprintable() else prefix


def _form(prefix: str, following: str, problem: str = "") -> str:
    return render_template("login.html", prefix=prefix, following=following, problem=problem)


def _is_plausible(token: str) -> bool:
    return token.isascii() and 16 <= len(token) <= 256
