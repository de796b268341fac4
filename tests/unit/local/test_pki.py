"""The certificates of a cluster: they hold together, and are made anew only when they must be."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from bedplate.host.clock import SystemClock
from bedplate.local.authorities import AUTHORITIES, CLUSTER, ETCD, FRONT_PROXY, LEAVES, Pki
from bedplate.local.certificates import LEAF_LIFE, RENEW_BEFORE
from bedplate.local.pki import ensure_pki
from bedplate.testing.clock import START, FakeClock


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return ensure_pki(tmp_path / "pki", FakeClock())


@pytest.fixture(scope="module")
def present_pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Made by the machine's own clock, which is the one that OpenSSL looks at."""
    return ensure_pki(tmp_path_factory.mktemp("pki"), SystemClock())


def made(pki: Pki) -> set[str]:
    return {action.name.removeprefix("certificate ") for action in pki.actions if action.runs}


def loaded(pki: Pki, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pki.certificate(name).read_bytes())


def handshake(pki: Pki, *, server: str, client: str, authority: str, name: str) -> None:
    """A TLS handshake in memory in which each side checks the other."""
    from_client, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = ssl.create_default_context(cafile=str(pki.certificate(authority)))
    asking.load_cert_chain(pki.certificate(client), pki.key(client))
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.certificate(authority)))
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_cert_chain(pki.certificate(server), pki.key(server))
    ends = [
        asking.wrap_bio(from_server, from_client, server_hostname=name),
        serving.wrap_bio(from_client, from_server, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass


@pytest.mark.parametrize("name", ["kubernetes.default.svc", "localhost", "10.96.0.1", "10.75.0.1", "127.0.0.1"])
@pytest.mark.parametrize("client", ["admin", "first-admin", "controller-manager", "scheduler", "approver"])
def test_clients_and_api_server_know_each_other(present_pki: Pki, name: str, client: str) -> None:
    handshake(present_pki, server="apiserver", client=client, authority=CLUSTER, name=name)


def test_the_api_server_and_etcd_know_each_other(present_pki: Pki) -> None:
    handshake(present_pki, server="etcd-server", client="apiserver-etcd-client", authority=ETCD, name="127.0.0.1")


def test_a_client_of_the_cluster_is_a_stranger_to_etcd(present_pki: Pki) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(present_pki, server="etcd-server", client="admin", authority=ETCD, name="127.0.0.1")


@pytest.mark.parametrize("name", LEAVES)
def test_each_is_signed_by_its_authority(pki: Pki, name: str) -> None:
    loaded(pki, name).verify_directly_issued_by(loaded(pki, LEAVES[name][0]))


def test_private_keys_are_for_their_owner_alone(pki: Pki) -> None:
    keys = list(pki.folder.glob("*.key"))
    assert len(keys) == len(AUTHORITIES) + len(LEAVES) + 1
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}


def test_only_the_first_administrator_stands_above_rbac() -> None:
    assert [name for name, (_, s) in LEAVES.items() if "system:masters" in s.organizations] == ["first-admin"]


def test_what_is_good_stays(pki: Pki) -> None:
    before = {path.name: path.read_bytes() for path in pki.folder.iterdir()}
    again = ensure_pki(pki.folder, FakeClock())
    assert not any(action.runs for action in again.actions)
    assert {path.name: path.read_bytes() for path in pki.folder.iterdir()} == before


def test_leaves_are_renewed_before_they_end_and_authorities_stay(pki: Pki) -> None:
    late = FakeClock(START + LEAF_LIFE - RENEW_BEFORE + timedelta(seconds=1))
    assert made(ensure_pki(pki.folder, late)) == set(LEAVES)


def test_nothing_is_renewed_a_moment_earlier(pki: Pki) -> None:
    early = FakeClock(START + LEAF_LIFE - RENEW_BEFORE)
    assert made(ensure_pki(pki.folder, early)) == set()


def test_a_lost_authority_takes_what_it_signed_with_it(pki: Pki) -> None:
    pki.certificate(FRONT_PROXY).unlink()
    assert made(ensure_pki(pki.folder, FakeClock())) == {FRONT_PROXY, "front-proxy-client"}


@pytest.mark.parametrize("broken", ["admin.crt", "admin.key"])
def test_a_half_written_file_is_replaced(pki: Pki, broken: str) -> None:
    (pki.folder / broken).write_bytes(b"-----BEGIN")
    assert made(ensure_pki(pki.folder, FakeClock())) == {"admin"}


def test_a_key_that_belongs_elsewhere_is_replaced(pki: Pki) -> None:
    pki.key("admin").write_bytes(pki.key("scheduler").read_bytes())
    assert made(ensure_pki(pki.folder, FakeClock())) == {"admin"}


def test_a_broken_service_account_key_is_replaced(pki: Pki) -> None:
    pki.service_account_public.write_bytes(b"")
    again = ensure_pki(pki.folder, FakeClock())
    assert [action.name for action in again.actions if action.runs] == ["service account key"]
