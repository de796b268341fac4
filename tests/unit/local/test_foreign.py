"""A control plane that is not ours: by what name machines call it, whether they may join, and how it is asked."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
import pytest

from bedplate.host.run import Completed
from bedplate.local.foreign.kubectl import ForeignKubectl, KubectlTransport
from bedplate.local.foreign.look import RIGHTS, look
from bedplate.local.foreign.record import Foreign, callable_from_cell, choose_name
from bedplate.local.joined import kept_foreign, with_control_plane
from bedplate.local.machines.qemu import Accelerator
from bedplate.local.order import RECORD, ClusterOrder
from bedplate.local.pools.joining import leave, require_free_names
from bedplate.local.pools.plan import Deed, MachineAction
from bedplate.model.errors import PeerError, UserError
from bedplate.testing.runner import FakeRunner, completed

IMAGE = "Bedplate-1.37-amd64-202611.24.0"
FILE = Path("/home/me/theirs.yaml")
THEIRS = Foreign(
    kubeconfig=FILE,
    context="theirs",
    server="https://api.example.com:6443",
    authority=b"PEM",
    name="api.example.com",
    cluster_dns="10.96.0.10",
)


def entry(**changes: object) -> dict[str, object]:
    authority = base64.b64encode(b"PEM").decode()
    return {"server": THEIRS.server, "certificate-authority-data": authority, **changes}


class Theirs:
    """A kubectl whose API server is somebody else's. `allowed` are the answers to what machines may do, in turn."""

    def __init__(self, cluster: Mapping[str, object] | None = None, *, minor: str = "37", allowed: str = "111") -> None:
        self.cluster = cluster or entry()
        self.minor = minor
        self.allowed = iter(allowed)

    def __call__(self, argv: tuple[str, ...]) -> Completed:
        return completed(argv, stdout=self.answer(argv).encode())

    def answer(self, argv: tuple[str, ...]) -> str:
        if "config" in argv:
            clusters = [{"name": "c", "cluster": self.cluster}]
            return json.dumps({"clusters": clusters, "users": None, "current-context": "theirs"})
        if "/version" in argv:
            return json.dumps({"major": "1", "minor": self.minor, "gitVersion": f"v1.{self.minor}.0-theirs.1"})
        if "create" in argv:
            return "true" if next(self.allowed) == "1" else ""
        assert "kube-dns" in argv
        return "10.96.0.10"


def asked(theirs: Theirs) -> ForeignKubectl:
    return ForeignKubectl(FakeRunner(theirs), Path("kubectl"), FILE)


def no_names(*_: object, **__: object) -> tuple[str, ...]:
    raise AssertionError("the certificate is not needed")


@pytest.mark.parametrize(
    "name", ["api.example.com", "kubernetes.default.svc", "192.0.2.7", "10.75.0.1", "lb-1.eu.example.com"]
)
def test_names_that_machines_can_call(name: str) -> None:
    assert callable_from_cell(name)


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "api.localhost",
        "kubernetes",
        "kubernetes.default.svc.cluster.local",
        "*.example.com",
        "127.0.0.1",
        "169.254.1.1",
        "10.75.0.11",
        "10.244.3.4",
        "::1",
        "2001:db8::1",
    ],
)
def test_names_that_machines_cannot_call(name: str) -> None:
    assert not callable_from_cell(name)


def test_of_a_certificate_the_first_name_that_will_do_is_taken() -> None:
    assert choose_name(["kubernetes", "kubernetes.default", "10.96.0.1"]) == "kubernetes.default"
    with pytest.raises(UserError, match="names localhost, 127"):
        choose_name(["localhost", "127.0.0.1"])


@pytest.mark.parametrize(
    ("server", "name", "target", "address", "machine_server"),
    [
        ("https://a.test", "a.test", "a.test:443", "10.75.0.2", "https://a.test:443"),
        ("https://a.test:6443/k/", "a.test", "a.test:6443", "10.75.0.2", "https://a.test:6443/k"),
        ("https://192.0.2.7:6443", "192.0.2.7", "192.0.2.7:6443", "192.0.2.7", "https://192.0.2.7:6443"),
        ("https://[::1]:6443", "k.default", "[::1]:6443", "10.75.0.2", "https://k.default:6443"),
    ],
)
def test_where_it_is_for_us_and_for_machines(
    server: str, name: str, target: str, address: str, machine_server: str
) -> None:
    place = msgspec.structs.replace(THEIRS, server=server, name=name)
    assert (place.target, place.address, place.machine_server) == (target, address, machine_server)


def test_what_is_kept_is_what_the_kubeconfig_says() -> None:
    assert look(asked(Theirs()), IMAGE, names=no_names) == THEIRS


def test_a_loopback_address_is_replaced_by_a_name_of_the_certificate() -> None:
    theirs = Theirs(entry(server="https://127.0.0.1:40001"))

    def names(host: str, port: int, *, authority: bytes, server_name: str) -> tuple[str, ...]:
        assert (host, port, authority, server_name) == ("127.0.0.1", 40001, b"PEM", "127.0.0.1")
        return ("kubernetes", "kubernetes.default.svc")

    assert look(asked(theirs), IMAGE, names=names).machine_server == "https://kubernetes.default.svc:40001"


def test_the_name_that_the_kubeconfig_verifies_comes_first() -> None:
    theirs = Theirs(entry(server="https://127.0.0.1:1", **{"tls-server-name": "api.example.com"}))
    assert look(asked(theirs), IMAGE, names=no_names).name == "api.example.com"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"server": "http://api.example.com"}, "https"),
        ({"proxy-url": "http://proxy:3128"}, "proxy"),
        ({"insecure-skip-tls-verify": True}, "does not verify"),
        ({"certificate-authority-data": ""}, "no certificate authority"),
    ],
)
def test_kubeconfigs_by_which_no_machine_can_join(changes: dict[str, object], what: str) -> None:
    with pytest.raises(UserError, match=what):
        look(asked(Theirs(entry(**changes))), IMAGE)


def test_another_minor_is_refused_and_a_plus_is_none() -> None:
    with pytest.raises(UserError, match=r"has Kubernetes 1\.36, but the node image 1\.37"):
        look(asked(Theirs(minor="36+")), IMAGE)
    assert look(asked(Theirs(minor="37+")), IMAGE)


def test_every_right_that_is_missing_is_named_with_its_remedy() -> None:
    with pytest.raises(UserError) as caught:
        look(asked(Theirs(allowed="010")), IMAGE)
    assert [right.meaning in caught.value.details for right in RIGHTS] == [True, False, True]
    grants = caught.value.resolution.splitlines()[1:]
    assert [grant.split("--")[1:] for grant in grants] == [
        ["clusterrole=system:node-bootstrapper ", "group=system:bootstrappers:bedplate:machines"],
        ["clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient ", "group=system:nodes"],
    ]


def test_a_cluster_that_does_not_answer_is_at_fault_itself() -> None:
    runner = FakeRunner(lambda argv: completed(argv, code=1, stderr=b"Unable to connect to the server"))
    with pytest.raises(PeerError, match="Unable to connect"):
        look(ForeignKubectl(runner, Path("kubectl"), FILE), IMAGE)


def client(code: int, stdout: bytes = b"", stderr: bytes = b"") -> tuple[httpx.Client, FakeRunner]:
    runner = FakeRunner(lambda argv: completed(argv, code=code, stdout=stdout, stderr=stderr))
    transport = KubectlTransport(ForeignKubectl(runner, Path("kubectl"), FILE, "theirs"))
    return httpx.Client(base_url="https://foreign", transport=transport), runner


def test_requests_are_carried_by_kubectl() -> None:
    api, runner = client(0, b'{"items": []}')
    assert api.get("/api/v1/nodes", params={"limit": 1}).json() == {"items": []}
    assert api.delete("/api/v1/nodes/a").is_success
    common = ("kubectl", f"--kubeconfig={FILE}", "--context=theirs", "--request-timeout=10s")
    assert runner.commands == [
        (*common, "get", "--raw", "/api/v1/nodes?limit=1"),
        (*common, "delete", "--raw", "/api/v1/nodes/a"),
    ]


def test_what_is_not_there_is_told_from_what_went_wrong() -> None:
    absent, _ = client(1, stderr=b'Error from server (NotFound): nodes "a" not found')
    assert absent.get("/api/v1/nodes/a").status_code == httpx.codes.NOT_FOUND
    broken, _ = client(1, stderr=b"Unable to connect to the server")
    with pytest.raises(httpx.ConnectError, match="Unable to connect"):
        broken.get("/api/v1/nodes/a")


CREATE = MachineAction(Deed.CREATE, "joined-1", 1, "joined", "")


def test_a_machine_never_takes_the_place_of_a_node_that_is_there() -> None:
    there, _ = client(0, b"{}")
    with pytest.raises(UserError, match="has a node joined-1 already"):
        require_free_names(there, [CREATE])
    require_free_names(there, [replace(CREATE, deed=Deed.KEEP)])
    free, _ = client(1, stderr=b"(NotFound)")
    require_free_names(free, [CREATE])


def test_a_cluster_that_cannot_be_asked_gets_no_machine() -> None:
    broken, _ = client(1, stderr=b"Unable to connect to the server")
    with pytest.raises(PeerError, match="cannot be asked"):
        require_free_names(broken, [CREATE])


def order(foreign: Foreign | None = None) -> ClusterOrder:
    nowhere = Path("/nowhere")
    return ClusterOrder(
        programs={"kubectl": Path("kubectl")},
        manifests=nowhere,
        debian=nowhere,
        image=nowhere,
        image_version=IMAGE,
        firmware=nowhere,
        kubernetes="v1.37.2",
        coredns="1.14.7",
        accelerator=Accelerator.TCG,
        foreign=foreign,
    )


def keep(folder: Path, kept: ClusterOrder) -> None:
    (folder / RECORD).write_bytes(msgspec.json.encode(kept, enc_hook=str))


def test_a_cluster_has_its_own_control_plane_unless_told_otherwise(tmp_path: Path) -> None:
    assert with_control_plane(order(), tmp_path, None, FakeRunner()).foreign is None
    assert with_control_plane(order(), tmp_path, FILE, FakeRunner(Theirs())).foreign == THEIRS


def test_what_was_joined_is_kept_and_asked_in_the_same_context(tmp_path: Path) -> None:
    keep(tmp_path, order(THEIRS))
    runner = FakeRunner(Theirs())
    assert kept_foreign(tmp_path) == THEIRS
    assert with_control_plane(order(), tmp_path, None, runner).foreign == THEIRS
    assert all("--context=theirs" in command for command in runner.commands)


def test_a_cluster_does_not_change_its_control_plane(tmp_path: Path) -> None:
    keep(tmp_path, order())
    with pytest.raises(UserError, match="a control plane of its own"):
        with_control_plane(order(), tmp_path, FILE, FakeRunner(Theirs()))
    keep(tmp_path, order(THEIRS))
    with pytest.raises(UserError, match=r"belong to https://api\.example\.com:6443"):
        with_control_plane(order(), tmp_path, FILE, FakeRunner(Theirs(entry(server="https://b.test"))))


def test_leaving_takes_nodes_and_token_along(tmp_path: Path) -> None:
    keep(tmp_path, order(THEIRS))
    (tmp_path / "known-machines.json").write_text('{"joined-2": "10.75.0.12", "joined-1": "10.75.0.11"}')
    token = {"id": "abcdef", "secret": "0123456789abcdef", "expires": "2026-11-25T06:00:00Z"}
    (tmp_path / "token.json").write_text(json.dumps(token))
    runner = FakeRunner()
    assert leave(tmp_path, runner) == "2 nodes deleted from https://api.example.com:6443"
    (command,) = runner.commands
    assert command[-3:] == ("node/joined-1", "node/joined-2", "secret/bootstrap-token-abcdef")


def test_what_cannot_be_taken_along_is_named(tmp_path: Path) -> None:
    keep(tmp_path, order(THEIRS))
    (tmp_path / "known-machines.json").write_text('{"joined-1": "10.75.0.11"}')
    runner = FakeRunner(lambda argv: completed(argv, code=1, stderr=b"Unable to connect"))
    assert leave(tmp_path, runner) == "left in https://api.example.com:6443: node/joined-1 (Unable to connect)"


@pytest.mark.parametrize("record", ["own", "broken"])
def test_a_cluster_of_ours_has_nothing_to_leave(tmp_path: Path, record: str) -> None:
    keep(tmp_path, order())
    if record == "broken":
        (tmp_path / RECORD).write_text("{")
    runner = FakeRunner()
    assert (leave(tmp_path, runner), runner.commands) == ("", [])
