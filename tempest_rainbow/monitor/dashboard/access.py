"""Access to the dashboard: refused to pages of other sites, and to other machines without the token."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tempest_gym.server.admission import is_loopback

__all__ = ["Guard"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_COOKIE = "tempest_session"
_LONGEST_FORM = 4096
_LOGIN = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>tempest-rainbow</title><body style="font-family:sans-serif;max-width:20em;margin:4em auto">
<h3>tempest-rainbow</h3><form method="post" action="/login">
<label>Token<br><input name="token" type="password" autofocus style="width:100%"></label>
<p><button>Open</button></p></form>"""


class Guard:
    """ASGI middleware in front of the dashboard.

    Every request must name a host of this machine, which prevents DNS rebinding, and must not come from
    another origin, which prevents cross-site requests. With a token, a browser must also have logged in; its
    cookie never leaves this origin.
    """

    def __init__(self, app: Any, *, token: str | None) -> None:
        """Guard ``app``.

        Args:
            app: the application behind.
            token: what a browser must show once; None where only this machine can connect.
        """
        self._app = app
        self._token = token
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        reason = self._objection(headers)
        if reason is not None:
            await _refuse(scope, receive, send, 403, reason.encode())
        elif self._token is None or self._logged_in(headers):
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/login" and scope["method"] == "POST":
            await self._log_in(receive, send)
        else:
            await _refuse(scope, receive, send, 401, _LOGIN.encode())

    def _objection(self, headers: dict[str, str]) -> str | None:
        host = headers.get("host", "")
        if self._token is None and not is_loopback(_name(host)):
            return f"this dashboard answers on the loopback address only, not as {_name(host)!r}"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "requests from other sites are refused"
        return None

    def _logged_in(self, headers: dict[str, str]) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._session.encode())

    async def _log_in(self, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more and len(body) <= _LONGEST_FORM:
            message = await receive()
            if message["type"] != "http.request":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        shown = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        if self._token is not None and hmac.compare_digest(shown.encode(), self._token.encode()):
            cookie = f"{_COOKIE}={self._session}; HttpOnly; SameSite=Strict; Path=/"
            headers = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
            await send({"type": "http.response.start", "status": 303, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await _respond(send, 401, _LOGIN.encode())


def _name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, body: bytes) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
    else:
        await _respond(send, status, body)


async def _respond(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
