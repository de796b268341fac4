"""What real sockets and TLS come to, by the words of `Reach`."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock
from bedplate.host.peers import ROOT_QUERY, SystemPeers
from bedplate.local.authorities import CLUSTER, ETCD, Pki
from bedplate.local.pki import ensure_pki
from bedplate.model.network import Answer, Caller, Reach

Play = Callable[[socket.socket], None]
PEERS = SystemPeers()


@contextmanager
def server(play: Play) -> Iterator[int]:
    """A port whose first connection is played by `play`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                play(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def says(text: bytes) -> Play:
    def play(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(text)

    return play


def over_tls(pki: Pki, then: Play) -> Play:
    def play(connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki.certificate("apiserver"), pki.key("apiserver"))
        try:
            with context.wrap_socket(connection, server_side=True) as talk:
                then(talk)
        except ssl.SSLError:
            pass  # the peer did not trust us and went away

    return play


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("pki"), SystemClock())


def authority(pki: Pki, name: str) -> bytes:
    return pki.certificate(name).read_bytes()


def test_status_and_body_come_back() -> None:
    with server(says(b"HTTP/1.0 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")) as port:
        assert PEERS.get(f"http://127.0.0.1:{port}/", Caller()) == Answer(Reach.ANSWERED, 401, b"no")


def test_path_query_and_token_are_sent() -> None:
    received = []

    def play(connection: socket.socket) -> None:
        received.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    with server(play) as port:
        PEERS.get(f"http://127.0.0.1:{port}/a/b?c=d", Caller(token="secret"))
    assert received[0].startswith(b"GET /a/b?c=d HTTP/1.0\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in received[0]


def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert PEERS.get(f"https://127.0.0.1:{port}/", Caller()).reach is Reach.REFUSED


def test_a_name_that_nobody_has_does_not_resolve() -> None:
    assert PEERS.get("https://nobody.invalid/", Caller()).reach is Reach.NO_NAME
    assert not PEERS.resolves("nobody.invalid")


def test_what_cannot_be_a_name_does_not_resolve() -> None:
    assert PEERS.get("https://a..b/", Caller()).reach is Reach.NO_NAME
    assert not PEERS.resolves("a..b")


@pytest.mark.parametrize("url", ["", "127.0.0.1/", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http://["])
def test_what_is_no_address_of_a_server_is_not_asked(url: str) -> None:
    answer = PEERS.get(url, Caller())
    assert answer.reach is Reach.BROKEN
    assert answer.details


def test_what_cannot_be_a_name_takes_no_connection() -> None:
    assert not PEERS.connects("a..b", 80)


def test_an_address_is_its_own_name() -> None:
    assert PEERS.resolves("127.0.0.1")


def test_something_else_than_http_is_broken() -> None:
    with server(says(b"SSH-2.0-OpenSSH_10.0\r\n")) as port:
        assert PEERS.get(f"http://127.0.0.1:{port}/", Caller()).reach is Reach.BROKEN


@pytest.mark.parametrize("status", [b"9" * 5000, b"20", b"-200", b"2 00"])
def test_a_status_that_is_none_is_broken(status: bytes) -> None:
    with server(says(b"HTTP/1.0 " + status + b"\r\n\r\n")) as port:
        assert PEERS.get(f"http://127.0.0.1:{port}/", Caller()).reach is Reach.BROKEN


def test_a_server_of_the_trusted_authority_is_trusted(pki: Pki) -> None:
    with server(over_tls(pki, says(b"HTTP/1.0 200 OK\r\n\r\nok"))) as port:
        answer = PEERS.get(f"https://127.0.0.1:{port}/readyz", Caller(authority(pki, CLUSTER)))
    assert answer == Answer(Reach.ANSWERED, 200, b"ok")


def test_a_server_of_another_authority_is_not_trusted(pki: Pki) -> None:
    with server(over_tls(pki, says(b""))) as port:
        answer = PEERS.get(f"https://127.0.0.1:{port}/readyz", Caller(authority(pki, ETCD)))
    assert answer.reach is Reach.UNTRUSTED
    assert answer.details


def test_a_certificate_that_was_swept_away_is_no_crash(pki: Pki, tmp_path: Path) -> None:
    with server(lambda _: None) as port:
        caller = Caller(authority(pki, CLUSTER), certificate=str(tmp_path / "gone.pem"))
        assert PEERS.get(f"https://127.0.0.1:{port}/", caller).reach is Reach.BROKEN


@contextmanager
def name_server(answer: bytes) -> Iterator[SystemPeers]:
    """What asks a DNS server that answers its first query with `answer`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))

        def serve() -> None:
            query, asker = listening.recvfrom(512)
            assert query[12:] == b"\0\0\x02\0\x01"  # NS of the root, in class IN
            listening.sendto(answer, asker)

        thread = threading.Thread(target=serve)
        thread.start()
        yield SystemPeers(name_port=listening.getsockname()[1])
        thread.join()


REFUSAL = ROOT_QUERY[:2] + b"\x80\x05" + ROOT_QUERY[4:]


@pytest.mark.parametrize(("answer", "answers"), [(REFUSAL, True), (b"\0\0" + REFUSAL[2:], False), (b"", False)])
def test_any_answer_with_our_number_is_an_answer_to_a_name_query(answer: bytes, *, answers: bool) -> None:
    with name_server(answer) as peers:
        assert peers.answers_names("127.0.0.1") is answers


def test_nobody_there_is_no_answer_to_a_name_query() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert not SystemPeers(name_port=port).answers_names("127.0.0.1")


def test_a_port_takes_connections_or_does_not() -> None:
    with server(lambda _: None) as port:
        assert PEERS.connects("127.0.0.1", port)
    assert not PEERS.connects("127.0.0.1", port)


@pytest.mark.parametrize(
    ("says", "speaks"), [(b"\0\0\0\4\0\0\0\0\0", True), (b"HTTP/1.1 400 Bad Request\r\n\r\n", False), (b"", False)]
)
def test_a_server_of_http2_is_told_by_its_first_frame(tmp_path: Path, says: bytes, *, speaks: bool) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                assert connection.recv(64).startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                connection.sendall(says)

        thread = threading.Thread(target=serve)
        thread.start()
        assert PEERS.speaks_http2(path) is speaks
        thread.join()


def test_nothing_answers_where_there_is_no_socket(tmp_path: Path) -> None:
    assert not PEERS.speaks_http2(tmp_path / "none")


def test_a_request_with_a_body_has_its_length_and_kind() -> None:
    seen = []

    def play(connection: socket.socket) -> None:
        seen.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")

    with server(play) as port:
        headers = {"Content-Type": "application/json"}
        answer = PEERS.send("PATCH", f"http://127.0.0.1:{port}/n", Caller(), b'{"a":1}', headers=headers)
    assert (answer.status, answer.body) == (200, b"{}")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PATCH /n HTTP/1.0\r\n")
    assert {b"Content-Length: 7", b"Content-Type: application/json"} <= set(head.split(b"\r\n"))
    assert body == b'{"a":1}'
