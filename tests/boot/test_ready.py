"""What the other tests rely on when they are given a Ready node: it is one, and nobody has touched it before."""

from __future__ import annotations

import json

import pytest

from bedplate.testing.ready import ReadyNode

pytestmark = pytest.mark.vm

LEFT = "/host/var/left-behind"


def test_a_machine_saved_as_ready_is_ready_again_after_it_is_restored(ready: ReadyNode) -> None:
    ready.kubectl("wait", f"node/{ready.name}", "--for=condition=Ready", "--timeout=10s")
    assert ready.kubectl("get", "nodes", "-o=name").split() == [f"node/{ready.name}"]


def test_a_pod_runs_on_it_and_its_logs_can_be_read(ready: ReadyNode) -> None:
    assert "-rw-r--r--" in ready.probe("mounttest", "--file_mode=/host/usr/share/bedplate/kubelet.yaml")


def test_what_a_test_did_to_it_is_gone_for_the_next(ready: ReadyNode) -> None:
    before = state_of(ready)
    ready.probe("mounttest", f"--new_file_0644={LEFT}")
    assert "-rw-r--r--" in ready.probe("mounttest", f"--file_mode={LEFT}")
    ready.kubectl("cordon", ready.name)
    ready.kubectl("create", "configmap", "left-behind")
    assert state_of(ready) != before
    ready.restore()
    assert state_of(ready) == before
    assert "no such file" in ready.probe("mounttest", f"--file_mode={LEFT}")


def test_it_can_be_restored_when_it_was_killed(ready: ReadyNode) -> None:
    ready.vm.crash()
    ready.restore()
    ready.kubectl("wait", f"node/{ready.name}", "--for=condition=Ready", "--timeout=10s")


def state_of(ready: ReadyNode) -> tuple[str, str, object]:
    """What the API server knows that a test may change: the node's boot, what is asked of it, objects of users."""
    spec = json.loads(ready.kubectl("get", "node", ready.name, "-o=json"))["spec"]
    return ready.boot_id(), ready.kubectl("get", "configmaps,pods", "-o=name"), spec
