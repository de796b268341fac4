"""What real sockets come to for those who tell a server something, by the words of `Reach`."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from bedplate.host.http import Route
from bedplate.host.pace import Limits
from bedplate.host.post import MOST_PIECES, SystemPost
from bedplate.model.errors import MachineError, UserError
from bedplate.model.network import Answer, Reach
from bedplate.testing.home import free_port

SHORT = Limits(connect_seconds=5, silence_seconds=0.2, head_seconds=0.5)
Play = Callable[[socket.socket, bytes], None]


@contextmanager
def server(play: Play) -> Iterator[str]:
    """The address of a server whose first connection is played by `play`, with what was asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                play(connection, asked_over(connection))

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def asked_over(connection: socket.socket) -> bytes:
    """A whole request: its body is `{}`, and that for a tunnel has none."""
    asked = b""
    while not asked.endswith(b"\r\n\r\n" if asked.startswith(b"CONNECT") else b"\r\n\r\n{}"):
        piece = connection.recv(65536)
        if not piece:
            break
        asked += piece
    return asked


def says(text: bytes) -> Play:
    return lambda connection, _: connection.sendall(text)


def tell(url: str, route: Route | None = None) -> Answer:
    return SystemPost(route or Route({}), SHORT).send(url, b"{}", headers={"Content-Type": "application/json"})


def until_it_goes(connection: socket.socket, _: bytes) -> None:
    connection.recv(1)


def without_an_end(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x")


def test_what_is_told_arrives_with_its_headers() -> None:
    received: list[bytes] = []

    def play(connection: socket.socket, asked: bytes) -> None:
        received.append(asked)
        connection.sendall(b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno")

    with server(play) as url:
        assert tell(f"{url}/v1/a") == Answer(Reach.ANSWERED, 409, b"no")
    assert received[0].startswith(b"POST /v1/a HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json\r\n" in received[0]
    assert received[0].endswith(b"\r\n\r\n{}")


def test_a_redirect_is_not_followed() -> None:
    with server(says(b"HTTP/1.1 307 Elsewhere\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n")) as url:
        assert tell(url) == Answer(Reach.ANSWERED, 307, b"")


@pytest.mark.parametrize(
    ("play", "reach"),
    [
        (until_it_goes, Reach.SILENT),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Reach.BROKEN),
        (says(b"SSH-2.0-OpenSSH_10.0\r\n"), Reach.BROKEN),
        (says(b""), Reach.BROKEN),
    ],
    ids=["silent", "half", "no HTTP", "nothing"],
)
def test_a_server_that_does_not_answer_is_told_as_that(play: Play, reach: Reach) -> None:
    with server(play) as url:
        assert tell(url).reach is reach


def test_a_body_without_an_end_is_cut() -> None:
    with server(without_an_end) as url:
        answer = tell(url)
    assert answer.status == 200
    assert len(answer.body) <= MOST_PIECES << 14


def test_a_port_where_nobody_listens_refuses() -> None:
    assert tell(f"https://127.0.0.1:{free_port()}/") == Answer(Reach.REFUSED)


def test_a_name_that_nobody_has_does_not_resolve() -> None:
    assert tell("https://nobody.invalid/").reach is Reach.NO_NAME


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "nonsense", "https:///no-host", "http://[::1", "http://127.0.0.1:99999/"]
)
def test_what_is_no_address_of_http_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="is not an address"):
        tell(url)


def test_a_proxy_that_refuses_the_tunnel_is_quoted() -> None:
    with server(says(b"HTTP/1.1 407 Who Are You\r\nContent-Length: 0\r\n\r\n")) as proxy:
        answer = tell("https://locks.invalid/", Route({"https": proxy}))
    assert answer.reach is Reach.BROKEN
    assert "407 Who Are You" in answer.details


def test_a_proxy_whose_name_does_not_resolve_is_told_from_a_server() -> None:
    answer = tell("http://127.0.0.1/", Route({"http": "http://nobody.invalid:3128"}))
    assert answer == Answer(Reach.NO_NAME, details="at the proxy")


def test_an_authority_that_is_none_is_named() -> None:
    with pytest.raises(MachineError, match="cannot be read"):
        tell("https://127.0.0.1/", Route({}, authority="no certificate"))


@pytest.mark.parametrize(
    "proxy", ["http://node:secret@[::1", "http://node:secret@host:port", "socks5://node:secret@host"]
)
def test_a_proxy_without_a_proper_address_is_refused_and_its_password_not_told(proxy: str) -> None:
    with pytest.raises(UserError, match="or of its proxy, cannot be read") as refused:
        tell("http://127.0.0.1/", Route({"http": proxy}))
    assert "secret" not in f"{refused.value}{refused.value.details}"
