"""Reading the names in the certificate of a real TLS server."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.host import sockets
from bedplate.host.clock import SystemClock
from bedplate.local.authorities import API_ADDRESSES, API_NAMES, CLUSTER, ETCD, Pki
from bedplate.local.foreign.certificate import certified_names
from bedplate.local.pki import ensure_pki
from bedplate.model.errors import PeerError


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("pki"), SystemClock())


@pytest.fixture
def port(pki: Pki) -> Iterator[int]:
    """A server that shows the API server's certificate to one client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.certificate("apiserver"), pki.key("apiserver"))
    with sockets.listen_tcp(0) as listener:
        thread = threading.Thread(target=_greet, args=(listener, context), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _greet(listener: socket.socket, context: ssl.SSLContext) -> None:
    try:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.read(1)
    except OSError:
        return


def ask(port: int, authority: Path) -> tuple[str, ...]:
    return certified_names("127.0.0.1", port, authority=authority.read_bytes(), server_name="127.0.0.1")


def test_names_come_before_addresses(pki: Pki, port: int) -> None:
    assert ask(port, pki.certificate(CLUSTER)) == (*API_NAMES, *API_ADDRESSES)


def test_a_certificate_of_another_authority_is_not_believed(pki: Pki, port: int) -> None:
    with pytest.raises(PeerError, match="no certificate to be trusted"):
        ask(port, pki.certificate(ETCD))
