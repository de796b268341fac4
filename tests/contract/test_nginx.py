"""A repository as it is served to nodes: by nginx, over TLS of the user's own authority, through a proxy."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import pytest

from bedplate.host.children import SystemChildren
from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.http import Route, SystemHttp
from bedplate.local.pki import CLUSTER, Pki, ensure_pki
from bedplate.model.errors import PeerError
from bedplate.release.publish.changes import begin, promote, publish
from bedplate.release.publish.edit import Edit, carry_out
from bedplate.release.publish.keys import Keyring, make_keys
from bedplate.release.publish.prepared import read_prepared
from bedplate.release.publish.shown import read_shown
from bedplate.release.publish.store import FolderStore
from bedplate.release.trust.repository import Repository
from bedplate.testing.home import free_port
from bedplate.testing.releases import VERSION, prepared_release

PROGRAM = Path("/usr/sbin/nginx")
STABLE = "1.37/stable"
USR = os.urandom(3_000_000)
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {folder}/repository;
    }}
}}
"""

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="nginx is not installed: ./dev setup does it")


class Server:
    """nginx with a repository in which the channel points to one version."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.clock = SystemClock()
        self.pki = ensure_pki(folder / "pki", self.clock)
        self.url = f"https://127.0.0.1:{self.port}/"
        store = FolderStore(folder / "repository")
        make_keys(folder / "keys")
        keys = Keyring([folder / "keys"])
        carry_out(begin(keys, self.clock.now()).seal(keys), store)
        release, files = read_prepared(prepared_release(folder / "prepared", VERSION, usr=USR))
        for change in (lambda edit: publish(edit, release, files), lambda edit: promote(edit, STABLE, VERSION)):
            edit = Edit(read_shown(store), self.clock.now(), keys.days)
            change(edit)
            carry_out(edit.seal(keys), store)

    def configure(self) -> Path:
        file = self.folder / "nginx.conf"
        values = {"folder": self.folder, "port": self.port}
        pair = {"certificate": self.pki.certificate("apiserver"), "key": self.pki.key("apiserver")}
        file.write_text(CONFIGURATION.format(**values, **pair))
        return file

    def missing(self) -> str:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return ""
        return "nginx does not answer"

    def node(self, name: str, *, proxies: dict[str, str] | None = None, authority: str = CLUSTER) -> Repository:
        root = (self.folder / "repository/metadata/1.root.json").read_bytes()
        http = self.http(proxies or {}, authority)
        return Repository(root, self.folder / name, [self.url], http, self.clock.now)

    def http(self, proxies: Mapping[str, str] = MappingProxyType({}), authority: str = CLUSTER) -> SystemHttp:
        return SystemHttp(Route(proxies, authority=authority_of(self.pki, authority)), self.clock)


def authority_of(pki: Pki, name: str) -> str:
    return pki.certificate(name).read_text() if name else ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("nginx"))
    argv = [str(PROGRAM), "-c", str(made.configure()), "-p", str(made.folder)]
    children = SystemChildren()
    number = children.start(argv, cwd=made.folder, env={}, log=made.folder / "log")
    try:
        waited = wait_until(made.missing, made.clock, seconds=20, every=0.05)
        assert not waited.missing, (made.folder / "log").read_text()
        yield made
    finally:
        children.kill(number)
        os.waitpid(number, 0)


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that connects (RFC 9110, 9.3.6) and notes where to."""
    asked: list[str] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def handle(client: socket.socket) -> None:
        with client, suppress(OSError):
            target = client.recv(65536).split()[1].decode()
            asked.append(target)
            host, _, port = target.partition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join()

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=handle, args=(listening.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def usr_of(node: Repository, *, start: int = 0) -> bytes:
    release = node.release(node.channel(STABLE).version)
    return b"".join(node.fetch(release.payloads[0], start=start))


def test_a_node_takes_a_release_over_tls(server: Server) -> None:
    assert usr_of(server.node("tls")) == USR


def test_a_payload_is_taken_on_from_the_middle(server: Server) -> None:
    assert usr_of(server.node("range"), start=2_000_001) == USR[2_000_001:]


def test_a_timestamp_that_has_not_changed_is_not_sent_again(server: Server) -> None:
    url, http = f"{server.url}metadata/timestamp.json", server.http()
    with http.get(url, most=16384) as first:
        list(first.pieces)
    with http.get(url, most=16384, etag=first.etag) as second:
        assert second.unchanged


def test_a_server_of_an_unknown_authority_is_refused(server: Server) -> None:
    with pytest.raises(PeerError, match="CERTIFICATE_VERIFY_FAILED"):
        server.node("stranger", authority="").refresh()


def test_a_proxy_is_asked_to_connect_and_sees_nothing_else(server: Server) -> None:
    with proxy() as (address, asked):
        assert usr_of(server.node("proxy", proxies={"https": address})) == USR
    assert set(asked) == {f"127.0.0.1:{server.port}"}
