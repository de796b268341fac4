"""A pod that looks at its node from within: what a person would do in a shell, which nodes have none of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bedplate.local.kubectl import Kubectl

NAME = "probe"
HOST = "/host"
ENDED = "--for=jsonpath={.status.containerStatuses[0].state.terminated}"


@dataclass(frozen=True, slots=True)
class Prober:
    """Runs Kubernetes' own test program (agnhost) as root on a node, with the node's root folder at /host."""

    kubectl: Kubectl
    image: str
    seconds: int = 240

    def ask(self, node: str, *arguments: str) -> str:
        """What the program said on `node`, whether it failed or not. Raises `ProgramFailed` when it never ended."""
        self._run("apply", "-f", "-", stdin=msgspec.json.encode(pod(node, self.image, arguments)))
        try:
            self._run("wait", f"pod/{NAME}", ENDED, f"--timeout={self.seconds}s")
            return self._run("logs", NAME)
        finally:
            self._run("delete", "pod", NAME, "--now")

    def _run(self, *arguments: str, stdin: bytes | None = None) -> str:
        return self.kubectl.run(*arguments, stdin=stdin, seconds=self.seconds + 60.0)


def pod(node: str, image: str, arguments: Sequence[str]) -> dict[str, object]:
    """The manifest (core/v1 Pod)."""
    container = {
        "name": NAME,
        "image": image,
        "args": list(arguments),
        "volumeMounts": [{"name": "host", "mountPath": HOST}],
    }
    spec = {
        "nodeName": node,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsUser": 0, "runAsGroup": 0},
        "containers": [container],
        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "namespace": "default"}, "spec": spec}
