"""What a machine is given so that it joins."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace

import yaml

from bedplate.local.join import (
    BootstrapToken,
    JoinTarget,
    MachineIdentity,
    machine_credentials,
    new_token,
    token_manifest,
)
from bedplate.testing.clock import START

TARGET = JoinTarget(bootstrap=b"bootstrap", authority=b"authority")
MACHINE = MachineIdentity(
    name="np-1",
    address="10.75.0.11",
    pod_cidr="10.244.11.0/24",
    labels={"pool": "np", "a": "b"},
    taints=("dedicated=gpu:NoSchedule",),
)


def test_a_token_has_the_form_that_kubernetes_asks_for() -> None:
    characters: Iterator[str] = iter("abcdef0123456789ghijkl")
    token = new_token(lambda _: next(characters))
    assert token.text == "abcdef.0123456789ghijkl"


def test_a_token_is_drawn_anew_each_time() -> None:
    assert new_token() != new_token()


def test_secrets_do_not_show_when_printed() -> None:
    assert "0123456789" not in repr(BootstrapToken("abcdef", "0123456789abcdef"))
    assert "bootstrap=" not in repr(TARGET)


def test_a_token_ends_and_opens_nothing_but_joining() -> None:
    manifest = yaml.safe_load(token_manifest(BootstrapToken("abcdef", "0123456789abcdef"), expires=START))
    assert manifest["metadata"] == {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    assert manifest["stringData"]["expiration"] == "2026-11-24T06:00:00Z"
    assert [key for key in manifest["stringData"] if key.startswith("usage-")] == ["usage-bootstrap-authentication"]


def test_a_machine_is_told_only_on_purpose_that_pods_may_bring_it_programs() -> None:
    assert "bedplate.writable-cni-bin" not in machine_credentials(MACHINE, TARGET)
    told = machine_credentials(replace(MACHINE, writable_cni_bin=True), TARGET)
    assert told["bedplate.writable-cni-bin"] == b"yes"


def test_a_machine_gets_these_credentials() -> None:
    credentials = machine_credentials(MACHINE, TARGET)
    assert credentials["system.hostname"] == b"np-1"
    assert credentials["bedplate.kubelet-bootstrap"] == b"bootstrap"
    assert credentials["bedplate.cluster-ca"] == b"authority"
    assert credentials["bedplate.kubelet-env"].decode().splitlines() == [
        "NODE_LABELS=a=b,pool=np",
        "NODE_TAINTS=dedicated=gpu:NoSchedule",
        "NODE_IP=10.75.0.11",
    ]
    assert yaml.safe_load(credentials["bedplate.kubelet-config"]) == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "clusterDNS": ["10.96.0.10"],
        "clusterDomain": "cluster.local",
    }
    assert tomllib.loads(credentials["bedplate.registry-hosts"].decode()) == {
        "server": "http://10.75.0.1:5000",
        "capabilities": ["pull", "resolve"],
    }
    (bridge,) = json.loads(credentials["bedplate.cni-conflist"])["plugins"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.244.11.0/24"}]]
    assert set(credentials) == {
        "system.hostname",
        "bedplate.kubelet-bootstrap",
        "bedplate.cluster-ca",
        "bedplate.kubelet-config",
        "bedplate.kubelet-env",
        "bedplate.cni-conflist",
        "bedplate.registry-hosts",
    }
