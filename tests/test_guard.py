"""Other sites, other names for this machine, and browsers without the token are refused."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from tempest_gym.server.admission import is_loopback
from tempest_rainbow.config.settings import DashboardConfig
from tempest_rainbow.monitor.dashboard.access import Guard
from tempest_rainbow.monitor.dashboard.client import DashboardError, read_token

TOKEN = "correct horse battery staple"


async def _page(request: Request) -> Response:
    return PlainTextResponse("the dashboard")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


def browser(token: str | None, host: str = "127.0.0.1:8765") -> TestClient:
    app: Any = Starlette(routes=[Route("/", _page, methods=["GET", "POST"]), WebSocketRoute("/ws", _socket)])
    return TestClient(Guard(app, token=token), base_url=f"http://{host}", follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert browser(None, host).get("/").text == "the dashboard"


@pytest.mark.parametrize("host", ["rebound.example", "192.168.1.5:8765", "127.0.0.1.example:8765", ""])
def test_other_names_for_this_machine_are_refused(host: str) -> None:
    answer = browser(None).get("/", headers={"host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://localhost:8765"]
)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_requests_from_other_sites_are_refused(origin: str, token: str | None) -> None:
    client = browser(token)
    assert client.post("/", headers={"origin": origin}).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws", headers={"origin": origin}):
        pass


def test_the_same_origin_may() -> None:
    client = browser(None)
    assert client.post("/", headers={"origin": "http://127.0.0.1:8765"}).status_code == 200
    with client.websocket_connect("/ws", headers={"host": "127.0.0.1:8765"}) as socket:
        assert socket.receive_text() == "hello"


def test_a_token_is_asked_for_once_and_never_shown() -> None:
    client = browser(TOKEN, "trainer.example:8765")
    closed = client.get("/")
    assert closed.status_code == 401
    assert "dashboard" not in closed.text
    assert client.post("/login", data={"token": "wrong"}).status_code == 401
    opened = client.post("/login", data={"token": TOKEN})
    assert opened.status_code == 303
    assert "HttpOnly" in opened.headers["set-cookie"]
    assert "SameSite=Strict" in opened.headers["set-cookie"]
    assert TOKEN not in opened.headers["set-cookie"]
    assert client.get("/").text == "the dashboard"


def test_a_socket_without_login_is_closed() -> None:
    client = browser(TOKEN)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws"):
        pass


@pytest.mark.parametrize("body", [b"", b"token=", b"\xff\xfe", b"token=" + b"a" * 100_000, b"&&&=&"])
def test_garbage_does_not_log_in(body: bytes) -> None:
    client = browser(TOKEN)
    assert client.post("/login", content=body).status_code == 401
    assert client.get("/", headers={"cookie": "tempest_session=" + "x" * 5000}).status_code == 401
    assert client.get("/", headers={"cookie": b"\xe9;;=;tempest_session"}).status_code == 401


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("a.b", False),
    ],
)
def test_what_counts_as_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_another_address_demands_a_token(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPEST_DASHBOARD_TOKEN", raising=False)
    with pytest.raises(DashboardError, match="can be reached from other machines"):
        read_token(DashboardConfig(host="0.0.0.0"))
    file = tmp_path / "token"
    with pytest.raises(DashboardError, match="No such file"):
        read_token(DashboardConfig(host="0.0.0.0", token_file=file))
    file.write_text("short\n")
    with pytest.raises(DashboardError, match="must have 16 characters"):
        read_token(DashboardConfig(host="0.0.0.0", token_file=file))
    file.write_text(TOKEN + "\n")
    assert read_token(DashboardConfig(host="0.0.0.0", token_file=file)) == TOKEN
    monkeypatch.setenv("TEMPEST_DASHBOARD_TOKEN", TOKEN + "\n")  # as mounted secrets often end
    assert read_token(DashboardConfig(host="0.0.0.0")) == TOKEN
