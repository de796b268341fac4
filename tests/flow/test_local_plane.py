"""The thin shells around a control plane: waiting for it, approving, filling in manifests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from bedplate.local.addons import ADDONS, addon_values, fill, install, manifests_folder
from bedplate.local.approval import SIGNER, Decision
from bedplate.local.approver import decide_round, read_known_machines, write_known_machines
from bedplate.local.controlplane import Addresses
from bedplate.local.kubectl import Kubectl
from bedplate.local.order import API_PORT, RECORD, REGISTRY_RELAY, ports_for
from bedplate.local.setup import wait_ready
from bedplate.model.errors import OurError, PeerError
from bedplate.testing.clock import FakeClock
from bedplate.testing.runner import FakeRunner

CHECKOUT = Path(__file__).parents[2]
VALUES = addon_values(Addresses(), kubernetes="v1.37.2", coredns="1.14.7")


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(base_url="https://api.test", transport=httpx.MockTransport(answer))


def test_ready_is_when_api_server_and_controller_manager_both_work() -> None:
    clock = FakeClock()

    def answer(request: httpx.Request) -> httpx.Response:
        if clock.monotonic() < 1:
            raise httpx.ConnectError("refused", request=request)
        from_when = 2 if request.url.path == "/readyz" else 3
        return httpx.Response(200 if clock.monotonic() >= from_when else 500)

    assert wait_ready(answering(answer), clock, logs=Path("/log")) == pytest.approx(3, abs=0.11)


def test_what_is_never_ready_ends_with_the_last_answer() -> None:
    clock = FakeClock()
    api = answering(lambda _: httpx.Response(500, text="[-]etcd failed"))
    with pytest.raises(PeerError, match="etcd failed") as caught:
        wait_ready(api, clock, logs=Path("/state/local/log"), seconds=5)
    assert caught.value.resolution == "Look at the logs in /state/local/log."
    assert clock.monotonic() == pytest.approx(5, abs=0.11)


class OneRequest:
    """An API server with one open request, from a node that is none, and a record of what was decided."""

    def __init__(self, code: int = 200) -> None:
        self.code = code
        self.decided: list[dict[str, object]] = []
        spec = {"signerName": SIGNER, "request": base64.b64encode(b"?").decode(), "username": "eve"}
        self.document = {"kind": "CertificateSigningRequest", "metadata": {"name": "r", "uid": "7"}, "spec": spec}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            assert request.url.params["fieldSelector"] == f"spec.signerName={SIGNER}"
            return httpx.Response(200, json={"items": [self.document]})
        assert request.url.path.endswith("/certificatesigningrequests/r/approval")
        self.decided.append(json.loads(request.content))
        return httpx.Response(self.code)


def test_a_decision_is_sent_with_its_reasons_and_the_rest_of_the_request() -> None:
    server = OneRequest()
    verdicts = decide_round(answering(server), {}, now="2026-11-24T06:00:00Z")
    (sent,) = server.decided
    condition = {
        "type": "Denied",
        "status": "True",
        "reason": "NotThisMachine",
        "message": "; ".join(verdicts["r"].reasons),
        "lastUpdateTime": "2026-11-24T06:00:00Z",
    }
    assert sent == {**server.document, "status": {"conditions": [condition]}}


@pytest.mark.parametrize("code", [404, 409])
def test_somebody_faster_is_no_error(code: int) -> None:
    assert decide_round(answering(OneRequest(code)), {}, now="")["r"].decision is Decision.DENY


def test_an_api_server_that_refuses_is_one() -> None:
    with pytest.raises(httpx.HTTPStatusError):
        decide_round(answering(OneRequest(403)), {}, now="")


def test_a_cluster_that_was_never_made_has_the_usual_ports(tmp_path: Path) -> None:
    assert ports_for(tmp_path, api=None, registry=None) == (API_PORT, REGISTRY_RELAY)


def test_ports_of_a_cluster_whose_record_is_damaged_are_not_guessed(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_bytes(b"{")
    with pytest.raises(OurError, match="does not tell what the cluster is made of"):
        ports_for(tmp_path, api=None, registry=None)


def test_known_machines_come_back_as_written(tmp_path: Path) -> None:
    assert read_known_machines(tmp_path) == {}
    write_known_machines(tmp_path, {"n2": "10.75.0.12", "n1": "10.75.0.11"})
    assert read_known_machines(tmp_path) == {"n1": "10.75.0.11", "n2": "10.75.0.12"}


@pytest.mark.parametrize("path", sorted((CHECKOUT / "deploy/local").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_manifest_is_whole_once_filled_in(path: Path) -> None:
    objects = list(yaml.safe_load_all(fill(path.parent, path.stem, VALUES)))
    assert objects
    assert all({"apiVersion", "kind", "metadata"} <= set(each) for each in objects)


def test_no_container_of_ours_is_privileged() -> None:
    for name in (*ADDONS, "demo"):
        text = fill(manifests_folder(CHECKOUT), name, VALUES).decode()
        assert "privileged: true" not in text
        assert "drop: [ALL]" in text
        assert "readOnlyRootFilesystem: true" in text


def test_a_value_that_is_missing_is_an_error_of_ours() -> None:
    with pytest.raises(OurError, match="COREDNS_VERSION"):
        fill(manifests_folder(CHECKOUT), "coredns", {"CLUSTER_DOMAIN": "cluster.local"})


def test_roles_come_first_and_from_the_first_administrator() -> None:
    runner = FakeRunner()
    program = Path("/kubectl")
    install(
        Kubectl(runner, program, Path("/first")),
        Kubectl(runner, program, Path("/admin")),
        folder=manifests_folder(CHECKOUT),
        values=VALUES,
    )
    assert [command[1] for command in runner.commands] == [
        "--kubeconfig=/first",
        "--kubeconfig=/admin",
        "--kubeconfig=/admin",
    ]
