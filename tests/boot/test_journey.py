"""From nothing to pods on two nodes, what such a node refuses, and how it updates. One cluster serves all of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.run import ProgramFailed, start
from bedplate.image.build import Image
from bedplate.local.probe import Prober
from bedplate.testing.home import Home, free_port
from bedplate.testing.updating import PANICS, UpdateLab, open_update_lab

pytestmark = [pytest.mark.vm, pytest.mark.in_order]

CLOCK = SystemClock()
NODES = ("system-1", "system-2")
CONTAINERS_RUN_FROM = {"/var/lib/containerd", "/var/lib/kubelet"}


@dataclass(frozen=True)
class Shell(Home):
    """The commands of a newcomer, and a look at a node from within."""

    def probe(self, node: str, *arguments: str) -> str:
        demo = yaml.safe_load((self.cluster / "demo.yaml").read_text().split("---")[0])
        image = demo["spec"]["template"]["spec"]["containers"][0]["image"]
        return Prober(self.admin, image).ask(node, *arguments)


@pytest.fixture(scope="module")
def lab(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateLab]:
    """The cluster, with a release repository from which its nodes update."""
    del image  # what is built of it is built before its keys are taken
    with open_update_lab(tmp_path_factory.mktemp("state"), nodes=len(NODES)) as opened:
        yield opened


@pytest.fixture(scope="module")
def shell(lab: UpdateLab) -> Shell:
    return Shell(lab.home.state)


@pytest.fixture(scope="module")
def demo(shell: Shell) -> tuple[str, ...]:
    """The demo's pods, both ready."""
    shell.kubectl("apply", "-f", str(shell.cluster / "demo.yaml"))
    shell.kubectl("rollout", "status", "deployment/web", "--timeout=280s")
    return tuple(shell.kubectl("get", "pods", "-l=app=web", "-o=name").split())


def test_two_nodes_are_ready_and_tell_truly_what_they_run(shell: Shell) -> None:
    nodes = json.loads(shell.kubectl("get", "nodes", "-o=json"))["items"]
    status = json.loads(shell.bedplate("cluster", "status", "--output=json"))
    assert tuple(node["metadata"]["name"] for node in nodes) == NODES
    for node in nodes:
        info = node["status"]["nodeInfo"]
        assert info["kubeletVersion"] == status["kubernetes"]
        assert info["osImage"] == status["node_image"].replace("Bedplate-", "Bedplate ", 1)
        assert info["containerRuntimeVersion"] == "containerd://2.4.2"
        assert "deb13" in info["kernelVersion"]


def test_a_deployment_runs_on_both_nodes(shell: Shell, demo: tuple[str, ...]) -> None:
    assert sorted(nodes_of(shell, demo)) == list(NODES)


def test_logs_can_be_read(shell: Shell, demo: tuple[str, ...]) -> None:
    assert "Started HTTP server" in shell.kubectl("logs", demo[0])


def test_a_pod_reaches_the_others_through_a_service_by_name(shell: Shell, demo: tuple[str, ...]) -> None:
    shell.kubectl("exec", demo[0], "--", "/agnhost", "connect", "--timeout=20s", "web.default.svc.cluster.local:80")
    with pytest.raises(ProgramFailed):
        shell.kubectl("exec", demo[0], "--", "/agnhost", "connect", "--timeout=5s", "nothing.default.svc:80")


def test_a_port_can_be_forwarded(shell: Shell, demo: tuple[str, ...], tmp_path: Path) -> None:
    port = free_port()
    # It ends with the connection to the API server, when the cluster goes down.
    start(shell.admin.argv("port-forward", demo[0], f"{port}:8080"), log=tmp_path / "forward.log")

    def answer() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/hostname", timeout=10) as response:
                return "" if f"pod/{response.read().decode()}" == demo[0] else "another pod"
        except OSError as problem:
            return str(problem)

    assert wait_until(answer, CLOCK, seconds=60, every=0.5).missing == ""


def test_writing_to_usr_is_refused(shell: Shell) -> None:
    said = shell.probe("system-1", "mounttest", "--new_file_0644=/host/usr/altered")
    assert "read-only file system" in said


def test_everything_writable_is_without_programs_devices_and_setuid(shell: Shell) -> None:
    said = shell.probe("system-1", "mounttest", "--file_content=/host/proc/1/mounts")
    mounts = [line.split() for line in said.partition(": ")[2].splitlines() if line]
    options = {where: set(words.split(",")) for _, where, _, words, _, _ in mounts}
    of_pods = ("/var/lib/kubelet/pods/", "/run/containerd/", "/run/netns/")
    writable = {where for where, words in options.items() if "rw" in words and not where.startswith(of_pods)}
    assert {"/", "/run", "/tmp", "/var", "/dev/shm"} <= writable
    assert {where for where in writable if "noexec" not in options[where]} == CONTAINERS_RUN_FROM
    assert {where for where in writable if "nosuid" not in options[where]} == set()
    assert {where for where in writable if "nodev" not in options[where]} == {"/dev", "/dev/pts"}


def test_a_reboot_forgets_what_was_written_outside_var(shell: Shell) -> None:
    for folder in ("", "/etc", "/var"):
        file = f"/host{folder}/left-behind"
        said = shell.probe("system-2", "mounttest", f"--new_file_0644={file}", f"--file_mode={file}")
        assert "-rw-r--r--" in said, said
    before = boot_id(shell, "system-2")
    shell.bedplate("node", "restart", "system-2")
    assert boot_id(shell, "system-2") != before
    for folder, stays in (("", False), ("/etc", False), ("/var", True)):
        said = shell.probe("system-2", "mounttest", f"--file_mode=/host{folder}/left-behind")
        assert ("-rw-r--r--" in said) is stays, said


def test_a_node_becomes_a_newer_release_by_itself_and_what_ran_on_it_is_made_up_for(
    lab: UpdateLab, shell: Shell, demo: tuple[str, ...]
) -> None:
    before = lab.runs()
    newer = lab.publish(1)
    lab.update(newer)
    assert [lab.runs(node) for node in NODES] == [newer, before]
    # Pods that end with their node are over; the deployment has others in their place.
    shell.kubectl("rollout", "status", "deployment/web", "--timeout=280s")
    assert len(demo) == ready_pods(shell)


def test_a_bad_release_is_left_by_itself_and_stays_left_though_its_channel_points_to_it(
    lab: UpdateLab, shell: Shell, demo: tuple[str, ...]
) -> None:
    before = lab.runs()
    bad = lab.publish(4, PANICS)
    assert lab.try_in_vain(bad) == "it did not come up in 3 boots"
    lab.repository.promote(bad)
    lab.wait_for_check()
    assert lab.runs() == before
    assert "not tried again unless told" in str(lab.status()["node_says"])
    shell.kubectl("rollout", "status", "deployment/web", "--timeout=280s")
    assert len(demo) == ready_pods(shell)


def ready_pods(shell: Shell) -> int:
    return int(shell.kubectl("get", "deployment/web", "-o=jsonpath={.status.readyReplicas}"))


def nodes_of(shell: Shell, pods: tuple[str, ...]) -> list[str]:
    return shell.kubectl("get", *pods, "-o=jsonpath={.items[*].spec.nodeName}").split()


def boot_id(shell: Shell, node: str) -> str:
    return shell.kubectl("get", "node", node, "-o=jsonpath={.status.nodeInfo.bootID}")
