"""What real servers and connections come to, by the words of `Http`; the fake is held to the same where it can be."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from queue import Queue

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedplate.host.clock import SystemClock
from bedplate.host.http import Http, NotThere, Route, SystemHttp
from bedplate.host.pace import Floor, Limits, RateLimit
from bedplate.host.serve import serving
from bedplate.local.authorities import CLUSTER, ETCD, Pki
from bedplate.local.pki import ensure_pki
from bedplate.model.errors import MachineError, PeerError, UserError
from bedplate.testing.clock import FakeClock
from bedplate.testing.http import FakeHttp, endless

DIRECT = Route({})
SHORT = Limits(connect_seconds=5, silence_seconds=0.2, head_seconds=0.5)
BODY = bytes(range(256)) * 1000
Play = Callable[[socket.socket], None]


class TickingClock(FakeClock):
    """Every look at it takes a second."""

    def monotonic(self) -> float:
        self.sleep(1)
        return super().monotonic()


def over_network(limits: Limits = SHORT, route: Route = DIRECT) -> SystemHttp:
    return SystemHttp(route, SystemClock(), limits=limits)


def take(http: Http, url: str, *, most: int = len(BODY), start: int = 0) -> bytes:
    with http.get(url, most=most, start=start) as reply:
        return b"".join(reply.pieces)


@contextmanager
def listening(play: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """The address of a server whose connections are played by `play`, one after the other, with what was asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        play(connection, connection.recv(65536))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def playing(play: Play) -> AbstractContextManager[str]:
    """The same, whatever was asked."""
    return listening(lambda connection, _: play(connection))


def says(*texts: bytes) -> Play:
    return lambda connection: [connection.sendall(text) for text in texts] and None


@contextmanager
def real_server(folder: Path) -> Iterator[tuple[Http, str]]:
    (folder / "file.json").write_bytes(BODY)
    with serving(folder) as port:
        yield over_network(), f"http://127.0.0.1:{port}/"


@contextmanager
def fake_server(folder: Path) -> Iterator[tuple[Http, str]]:
    del folder
    yield FakeHttp({"http://server/file.json": BODY}.get), "http://server/"


@pytest.fixture(params=[real_server, fake_server], ids=["real", "fake"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Http, str]]:
    make: Callable[[Path], AbstractContextManager[tuple[Http, str]]] = request.param
    with make(tmp_path) as both:
        yield both


def test_a_file_comes_as_it_is(served: tuple[Http, str]) -> None:
    assert take(served[0], f"{served[1]}file.json") == BODY


def test_a_file_comes_from_the_byte_that_was_asked_for(served: tuple[Http, str]) -> None:
    assert take(served[0], f"{served[1]}file.json", start=1000) == BODY[1000:]


def test_what_is_not_there_is_told_as_that(served: tuple[Http, str]) -> None:
    with pytest.raises(NotThere, match="is not there"):
        take(served[0], f"{served[1]}other")


def test_more_than_allowed_is_refused_after_what_was(served: tuple[Http, str]) -> None:
    taken: list[bytes] = []
    with (
        served[0].get(f"{served[1]}file.json", most=1500) as reply,
        pytest.raises(PeerError, match="sends more than it may"),
    ):
        taken.extend(reply.pieces)
    assert b"".join(taken) in (b"", BODY[:1500])


def test_what_has_not_changed_is_not_sent_again(served: tuple[Http, str]) -> None:
    http, url = served
    with http.get(f"{url}file.json", most=len(BODY)) as first:
        list(first.pieces)
    with http.get(f"{url}file.json", most=len(BODY), etag=first.etag) as second:
        assert (second.unchanged, list(second.pieces)) == (True, [])
    with http.get(f"{url}file.json", most=len(BODY), etag='"another"') as third:
        assert (third.unchanged, b"".join(third.pieces)) == (False, BODY)


def test_each_answer_is_told_with_the_bytes_that_went_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY)
    told: Queue[str] = Queue()
    with serving(tmp_path, log=told.put) as port:
        take(over_network(), f"http://127.0.0.1:{port}/file", start=2)
    line = told.get(timeout=SHORT.connect_seconds)
    assert re.fullmatch(rf'127\.0\.0\.1 - - \[.+\] "GET /file HTTP/1\.1" 206 {len(BODY) - 2}', line)


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("play", "words"),
    [
        (says(HEAD, b"Content-Length: 10\r\n\r\nhalf"), "broke off"),
        (says(HEAD, b"Content-Length: 10\r\nConnection: close\r\n\r\n", b"x" * 20), None),
        (says(HEAD, b"\r\n", b"x" * 300_000), "sends more than it may"),
        (
            says(HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"40000\r\n" + b"x" * 0x40000 + b"\r\n0\r\n\r\n"),
            "sends more",
        ),
        (says(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\n\r\n"), "redirects to another server"),
        (says(b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n"), "redirects to another server"),
        (says(b"HTTP/1.1 302 Found\r\nLocation: /file\r\nContent-Length: 0\r\n\r\n"), "redirects without an end"),
        (says(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), "The server answers 503 Busy"),
        (says(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), "is not there"),
        (says(b"SSH-2.0-OpenSSH_10.0\r\n"), "cannot be reached"),
        (says(b""), "cannot be reached"),
    ],
)
def test_a_server_that_misbehaves_is_refused_in_its_own_words(play: Play, words: str | None) -> None:
    with playing(play) as url:
        if words is None:
            assert take(over_network(), url) == b"x" * 10
            return
        with pytest.raises(PeerError, match=words):
            take(over_network(), url)


def test_a_server_that_falls_silent_is_too_slow() -> None:
    done = threading.Event()

    def play(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Content-Length: 10\r\n\r\nhalf")
        done.wait(5)

    with playing(play) as url:
        with pytest.raises(PeerError, match="is too slow"):
            take(over_network(), url)
        done.set()


def test_a_head_that_comes_byte_by_byte_is_too_slow() -> None:
    done = threading.Event()

    def play(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        while not done.wait(0.05):
            connection.sendall(b"X-More: x\r\n")

    with playing(play) as url:
        with pytest.raises(PeerError, match="is too slow"):
            take(over_network(), url)
        done.set()


def test_a_body_that_comes_byte_by_byte_is_too_slow() -> None:
    """The clock is ours: each piece takes a second by it, however fast it comes."""
    http = SystemHttp(DIRECT, TickingClock(), limits=Limits(floor_bytes=1 << 20, floor_seconds=2))
    with (
        playing(says(HEAD, b"Content-Length: 300000\r\n\r\n", b"x" * 300_000)) as url,
        pytest.raises(PeerError, match="is too slow"),
    ):
        take(http, url, most=300_000)


def test_a_server_that_ignores_ranges_is_read_past_what_is_known() -> None:
    with playing(says(HEAD, b"Content-Length: 10\r\n\r\n0123456789")) as url:
        assert take(over_network(), url, start=4, most=6) == b"456789"


def test_a_server_that_begins_elsewhere_is_refused() -> None:
    answer = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-9/10\r\nContent-Length: 8\r\n\r\n23456789"
    with playing(says(answer)) as url, pytest.raises(PeerError, match="cannot be used"):
        take(over_network(), url, start=4)


def test_a_place_that_no_file_has_is_refused() -> None:
    digits = b"1" * 5000
    answer = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + digits + b"-2/3\r\nContent-Length: 0\r\n\r\n"
    with playing(says(answer)) as url, pytest.raises(PeerError, match="cannot be used"):
        take(over_network(), url, start=4)


TEXTS = st.one_of(
    st.sampled_from(
        [b"", b"1" * 5000, b"-5", b"http://[", b"//", b"/file", b"chunked", b"gzip", b"br,zstd", b"bytes 4-5/6"]
    ),
    st.binary(max_size=12).map(lambda text: text.replace(b"\n\r\n", b"")),
)
DIRECTLY = over_network()
NAMES = [b"Location", b"Content-Range", b"Content-Length", b"Content-Encoding", b"Transfer-Encoding", b"ETag", b"\xff"]
STATES = [b"200 OK", b"206 Part", b"302 Found", b"304 Same", b"404 None", b"999 ?", b"1e3 ?", b""]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(STATES), st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=4), st.binary(max_size=20))
def test_whatever_a_server_answers_it_is_taken_or_refused(state: bytes, head: dict[bytes, bytes], body: bytes) -> None:
    lines = [b"HTTP/1.1 " + state, *(name + b": " + text for name, text in head.items()), b"Connection: close"]
    with playing(says(b"\r\n".join(lines) + b"\r\n\r\n" + body)) as url:
        with suppress(PeerError):
            take(DIRECTLY, url, start=4)
        with suppress(PeerError), DIRECTLY.get(url, most=100) as first:
            list(first.pieces)
            with DIRECTLY.get(url, most=100, etag=first.etag) as second:
                list(second.pieces)


def test_a_port_where_nobody_listens_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PeerError, match="cannot be reached"):
        take(over_network(), f"http://127.0.0.1:{port}/")


def test_a_name_that_nobody_has_cannot_be_reached() -> None:
    with pytest.raises(PeerError, match="cannot be reached"):
        take(over_network(), "http://nobody.invalid/")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "nonsense",
        "file:///etc/passwd",
        "https:///no-host",
        "http://[::1",
        "http://127.0.0.1:99999/",
    ],
)
def test_what_is_no_address_of_http_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="is not an address"):
        take(over_network(), url)


def test_a_fake_that_never_ends_is_cut_like_a_real_one() -> None:
    http = FakeHttp(lambda _: b"x", {"": endless})
    with pytest.raises(PeerError, match="sends more"):
        take(http, "http://server/", most=10_000)


class Proxy:
    """A server that answers as a proxy, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, connection: socket.socket, asked: bytes) -> None:
        self.asked.append(asked)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy")


def test_a_proxy_is_asked_for_other_hosts_and_not_for_those_that_are_direct() -> None:
    proxy = Proxy()
    with listening(proxy) as url:
        route = Route.from_environment({"http_proxy": url.removesuffix("/file"), "no_proxy": "localhost, .internal"})
        assert take(over_network(route=route), "http://releases.invalid/file") == b"proxy"
        with pytest.raises(PeerError, match="cannot be reached"):
            take(over_network(route=route), "http://releases.internal/file")
    (asked,) = proxy.asked
    assert asked.startswith(b"GET http://releases.invalid/file HTTP/1.1")


def test_a_proxy_is_told_who_asks() -> None:
    proxy = Proxy()
    with listening(proxy) as url:
        address = url.removesuffix("/file").replace("//", "//node:se%3Acret@")
        take(over_network(route=Route({"http": address})), "http://releases.invalid/file")
    assert b"\r\nproxy-authorization: Basic bm9kZTpzZTpjcmV0\r\n" in proxy.asked[0].replace(b"Proxy-A", b"proxy-a")


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://a.example/", None),
        ({"https_proxy": "http://p:1"}, "https://a.example/", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.example/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "http://a.example/", None),
        ({"https_proxy": "http://p:1"}, "http://a.example/", None),
        ({"https_proxy": "http://p:1", "no_proxy": "*"}, "https://a.example/", None),
        ({"https_proxy": "http://p:1", "NO_PROXY": "example"}, "https://a.example/", None),
        ({"https_proxy": "http://p:1", "no_proxy": "ample"}, "https://a.example/", "http://p:1"),
    ],
)
def test_the_proxy_is_chosen_as_curl_does(environment: dict[str, str], url: str, proxy: str | None) -> None:
    assert Route.from_environment(environment).proxy_for(url) == proxy


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("pki"), SystemClock())


def over_tls(pki: Pki) -> Play:
    def play(connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki.certificate("apiserver"), pki.key("apiserver"))
        with suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as talk:
            talk.recv(4096)
            talk.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")

    return play


def test_an_authority_of_the_users_own_is_trusted_and_another_is_not(pki: Pki) -> None:
    for name, trusted in ((CLUSTER, True), (ETCD, False)):
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=lambda: over_tls(pki)(server.accept()[0]))
            thread.start()
            url = f"https://127.0.0.1:{server.getsockname()[1]}/"
            http = over_network(Limits(), Route({}, authority=pki.certificate(name).read_text()))
            if trusted:
                assert take(http, url) == b"ok"
            else:
                with pytest.raises(PeerError, match="CERTIFICATE_VERIFY_FAILED"):
                    take(http, url)
            thread.join()


def test_an_authority_that_is_none_is_named() -> None:
    with pytest.raises(MachineError, match="cannot be read"):
        take(over_network(route=Route({}, authority="no certificate")), "https://127.0.0.1/")


def test_the_floor_counts_the_time_of_waiting_alone() -> None:
    floor = Floor(Limits(floor_bytes=100, floor_seconds=10))
    assert floor.holds(1, 9)
    assert not floor.holds(1, 2)
    assert floor.holds(2000, 11)


def test_a_rate_limit_waits_as_long_as_it_has_to() -> None:
    clock = FakeClock()
    limit = RateLimit(1000, clock)
    for _ in range(5):
        limit(2000)
    assert clock.monotonic() == 10
