"""The processes of a control plane and the files that clients get, held against golden files.

A golden file is rewritten by hand: read the difference, then copy what the failure shows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.local.addresses import GATEWAY
from bedplate.local.approver import approver_process
from bedplate.local.authorities import Pki
from bedplate.local.controlplane import Addresses, ControlPlane, Programs, control_plane_processes
from bedplate.local.kubeconfig import User, bootstrap_kubeconfig, kubeconfig
from bedplate.local.registry import GIVES, INSTANCES, TAKES, registry_config, registry_process
from bedplate.wire.cell import ProcessSpec

GOLDEN = Path(__file__).parents[2] / "golden" / "local"
FOLDER = Path("/state/clusters/demo")
PROGRAMS = Programs(*(Path("/bin") / name for name in ("etcd", "apiserver", "controller-manager", "scheduler")))
PLANE = ControlPlane(FOLDER, PROGRAMS, Pki(FOLDER / "pki"))
PROCESSES = (
    *control_plane_processes(PLANE),
    approver_process(PLANE, python=Path("/bin/python3")),
    *(registry_process(FOLDER, instance) for instance in INSTANCES),
)


def as_text(spec: ProcessSpec) -> str:
    environment = [f"{name}={value}" for name, value in spec.env.items()]
    return "\n".join([*environment, *spec.argv, f"> {spec.log}", ""])


@pytest.mark.parametrize("spec", PROCESSES, ids=lambda spec: spec.name)
def test_each_process_is_started_as_written_down(spec: ProcessSpec) -> None:
    assert as_text(spec) == (GOLDEN / f"{spec.name}.txt").read_text()


def test_each_process_comes_back_when_it_ends() -> None:
    assert all(spec.restart for spec in PROCESSES)


def test_all_listen_where_they_are_told_to() -> None:
    plane = ControlPlane(FOLDER, PROGRAMS, PLANE.pki, Addresses(api="127.0.0.1", api_port=7443, etcd_port=7379))
    text = "\n".join(as_text(spec) for spec in control_plane_processes(plane))
    assert "10.75.0.1" not in text
    assert "2379" not in text
    assert plane.addresses.server == "https://127.0.0.1:7443"


def test_a_kubeconfig_with_a_certificate() -> None:
    user = User(client_certificate_data=b"certificate", client_key_data=b"key")
    written = kubeconfig(
        cluster="demo", server="https://127.0.0.1:6443", authority=b"authority", name="admin", user=user
    )
    assert written == (GOLDEN / "admin.yaml").read_bytes()


def test_a_kubeconfig_with_a_token() -> None:
    written = bootstrap_kubeconfig(
        cluster="demo", server="https://10.75.0.1:6443", authority=b"authority", token="abcdef.0123456789abcdef"
    )
    assert written == (GOLDEN / "bootstrap.yaml").read_bytes()


def test_the_registry_keeps_files_and_has_nothing_else() -> None:
    written = registry_config(FOLDER / "registry", host="10.75.0.1", port=5000, read_only=True)
    assert written == (GOLDEN / "registry.yaml").read_bytes()


def test_the_registry_that_machines_and_pods_reach_takes_nothing() -> None:
    assert (GIVES.host, GIVES.read_only) == (GATEWAY, True)
    assert (TAKES.host, TAKES.read_only) == ("127.0.0.1", False)
