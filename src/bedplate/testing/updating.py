"""A cluster of one node that updates from a repository of this computer, and images to update it to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from bedplate.cli.components import CHECKOUT
from bedplate.host.clock import SystemClock, wait_until
from bedplate.host.run import SystemRunner
from bedplate.image.build import Image
from bedplate.image.manifest import read_manifest
from bedplate.local.cluster import Cluster, open_cluster
from bedplate.local.pools.reconcile import provider
from bedplate.local.probe import NAME as POD
from bedplate.local.probe import Prober, pod
from bedplate.model.machines import Power
from bedplate.model.versions import ImageVersion
from bedplate.testing.home import Home, free_port, home_with_our_keys
from bedplate.testing.published import LabRepository
from bedplate.testing.vm.processes import kill_in

NODE = "system-1"
CHECK_SECONDS = 20
SETTINGS = f"""
[health]
seconds = 240

[source]
check_seconds = {CHECK_SECONDS}
jitter_seconds = 0
"""
NO_MIRROR = 'mirrors = ["http://10.75.0.1:9"]\n'
"""Added to the settings: nobody listens there."""
LIMIT = 300.0
PANICS = {"usr/lib/tmpfiles.d/zz-panic.conf": "w /proc/sysrq-trigger - - - - c\n"}
"""What has to be in an image for its kernel to die in each boot: what no check could tell."""
METADATA = "/host/var/lib/bedplate/tuf/{}"


@dataclass
class UpdateLab:
    """The node is called NODE, and further ones stay as they are; `folder` is for whatever a test makes,
    `repository` is what they update from.
    """

    home: Home
    folder: Path
    repository: LabRepository

    def image(self, days: int = 0, changes: Mapping[str, str] | None = None) -> Image:
        """An image of this checkout that is `days` newer, with further files in its recipe."""
        root = self._variant(changes) if changes else CHECKOUT
        words = ["--output=json", f"--root={root}"]
        base = read_manifest(Path(self._build(words))).version if days else ""
        folder = Path(self._build([*words, f"--version={later(base, days)}"] if days else words))
        return Image(folder, read_manifest(folder), folder)

    def publish(self, days: int, changes: Mapping[str, str] | None = None) -> str:
        """Publish such an image with full payloads alone; its version."""
        return self.repository.publish(self.image(days, changes))

    def update(self, version: str) -> None:
        """Tell the node to become that version, and wait until it is."""
        self.home.bedplate("node", "update", NODE, f"--version={version}")

    def try_in_vain(self, version: str) -> str:
        """Tell the node to become a version that does not work; why the node says it does not."""
        self.home.refusal("node", "update", NODE, f"--version={version}", code=4)
        return str(self.failure(version)["reason"])

    def restart(self) -> None:
        """Cut the power and switch it on again, until the node is Ready."""
        self.home.bedplate("node", "restart", NODE)

    def cut_power(self) -> None:
        """Kill QEMU: what it had not written yet is lost, as on a disk that loses its power."""
        kill_in(provider(self.cluster, SystemRunner()).folder / NODE)

    def switch_on(self) -> None:
        provider(self.cluster, SystemRunner()).power(NODE, Power.ON)

    def refit(self, *, memory_mb: int | None = None, usb: bool | None = None) -> None:
        """Switch the machine off, change what it is made of, and switch it on, until the node is Ready."""
        boot, machines = self.boot_id(), provider(self.cluster, SystemRunner())
        machines.power(NODE, Power.OFF)
        machines.refit(NODE, memory_mb=memory_mb, usb=usb)
        machines.power(NODE, Power.ON)
        self.wait_for_next_boot(after=boot)
        self.runs()

    def plug_in(self, stick: Path) -> None:
        with provider(self.cluster, SystemRunner()).monitor(NODE) as monitor:
            monitor.plug_in(stick)

    def pull_out(self) -> None:
        with provider(self.cluster, SystemRunner()).monitor(NODE) as monitor:
            monitor.pull_out()

    @contextmanager
    def memory_taken(self, mebibytes: int) -> Iterator[None]:
        """A block in which a pod on the node holds so much memory, until the node is started again."""
        words = ("stress", f"--mem-total={mebibytes}Mi", "--mem-alloc-size=4Mi")
        holder = pod(NODE, f"bedplate.local/agnhost:{self.cluster.order.kubernetes}", words)
        self.home.kubectl("apply", "-f", "-", stdin=msgspec.json.encode(holder))
        self.wait(lambda: "" if "Allocated" in self._pod_says() else "the pod has not taken its memory")
        try:
            yield
        finally:
            self.home.kubectl("delete", "pod", POD, "--now")

    def boot_id(self) -> str:
        """Which boot the API server knows of: another one each time the machine starts."""
        return self._info()["bootID"]

    def wait_for_next_boot(self, *, after: str) -> None:
        self.wait(lambda: "" if self.boot_id() != after else f"the node has not come back from boot {after}")

    def failure(self, version: str) -> Mapping[str, Any]:
        """What the node says of a version that it does not try again."""
        (found,) = [each for each in self.history()["failed"] if each["version"] == version]
        return dict(found)

    def ways(self, version: str) -> str:
        """How the parts of a version came to the node, by its history, the newest first."""
        lines = [each["reason"] for each in self.history()["happened"] if each["version"] == version]
        return "\n".join(line for line in lines if "payload" in line)

    def history(self) -> Mapping[str, Any]:
        return dict(json.loads(self.home.bedplate("node", "history", NODE, "--output=json")))

    def status(self) -> Mapping[str, Any]:
        return dict(json.loads(self.home.bedplate("node", "status", NODE, "--output=json")))

    def runs(self, node: str = NODE) -> str:
        """The version that the cluster says a node runs, once it is Ready."""
        self.home.kubectl("wait", f"node/{node}", "--for=condition=Ready", "--timeout=200s")
        return self._info(node)["osImage"].replace("Bedplate ", "Bedplate-", 1)

    def wait_for_check(self) -> None:
        """Wait until the node has asked the repository once more: a new timestamp is signed, and the node has it."""
        before = self._timestamp()
        self.repository.refresh()
        self.wait(lambda: "" if self._timestamp() > before else "the node has not asked the repository again")

    def look(self, *arguments: str) -> str:
        """What Kubernetes' test program says on the node, whose root folder is at /host."""
        image = f"bedplate.local/agnhost:{self.cluster.order.kubernetes}"
        return Prober(self.home.admin, image).ask(NODE, *arguments)

    def console(self) -> str:
        """All that the node has written to its console, over all boots."""
        return (self.home.cluster / "machines" / NODE / "console.log").read_text(errors="replace")

    def wait_for_line(self, words: str, *, after: int) -> None:
        """Wait until the node has written `words` to its console, beyond the first `after` characters."""
        self.wait(lambda: "" if words in self.console()[after:] else f"no {words!r} on the console")

    def wait(self, missing: Callable[[], str]) -> None:
        left = wait_until(missing, SystemClock(), seconds=LIMIT, every=1).missing
        if left:
            raise AssertionError(f"{left}\n{self.consoles()}")

    def consoles(self) -> str:
        """The end of its console, for the message of a test that failed."""
        return self.home.consoles()

    @property
    def cluster(self) -> Cluster:
        return open_cluster(self.home.cluster, SystemClock())

    def _info(self, node: str = NODE) -> Mapping[str, str]:
        return dict(json.loads(self.home.kubectl("get", "node", node, "-o=json"))["status"]["nodeInfo"])

    def _timestamp(self) -> int:
        """The number of the timestamp that the node has."""
        said = self.look("mounttest", f"--file_content={METADATA.format('timestamp.json')}")
        return int(json.loads(said[said.index("{") : said.rindex("}") + 1])["signed"]["version"])

    def _pod_says(self) -> str:
        phase = self.home.kubectl("get", "pod", POD, "-o=jsonpath={.status.phase}")
        return "" if phase == "Pending" else self.home.kubectl("logs", POD)

    def _build(self, words: list[str]) -> str:
        return str(Path(json.loads(self.home.bedplate("image", "build", *words))["disk"]).parent)

    def _variant(self, changes: Mapping[str, str]) -> Path:
        root = self.folder / f"variant-{len(list(self.folder.glob('variant-*')))}"
        shutil.copytree(CHECKOUT / "os", root / "os", symlinks=True)
        for name in ("components", "uv.lock"):
            (root / name).symlink_to(CHECKOUT / name)
        for name, text in changes.items():
            path = root / "os" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("-> "):
                path.symlink_to(text.removeprefix("-> "))
            else:
                path.write_text(text)
        return root


def later(version: str, days: int) -> ImageVersion:
    known = ImageVersion.parse(version)
    return ImageVersion(known.kubernetes, known.day + timedelta(days=days), 0, known.architecture)


@contextmanager
def open_update_lab(state: Path, *, nodes: int = 1, source: str = "") -> Iterator[UpdateLab]:
    """Ready nodes of the image of this checkout, in the state folder `state`; its version is in the repository.

    `source` is added to the settings of where they take releases from, in place of the repository's own server.
    """
    home = home_with_our_keys(state)
    settings = state / "agent.toml"
    settings.write_text(SETTINGS + source)
    repository = LabRepository(home, state / "releases/repository")
    repository.begin()
    lab = UpdateLab(home, state, repository)
    repository.promote(lab.publish(0))
    ports = (f"--api-port={free_port()}", f"--registry-port={free_port()}")
    told = (f"--releases={repository.folder}", f"--agent-settings={settings}")
    try:
        home.bedplate("cluster", "up", f"--nodes={nodes}", *ports, *told)
        yield lab
    finally:
        home.bedplate("cluster", "down", "--all")
