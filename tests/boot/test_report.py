"""A machine whose API server is not there says so on its console."""

import shutil
from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock, wait_until
from bedplate.image.build import Image
from bedplate.local.authorities import CLUSTER
from bedplate.local.join import JoinTarget, MachineIdentity, machine_credentials, new_token
from bedplate.local.kubeconfig import bootstrap_kubeconfig
from bedplate.local.machines.provider import LocalProvider
from bedplate.local.pki import ensure_pki
from bedplate.model.machines import MachineOrder

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86 is not installed"),
]

SERVER = "https://10.75.0.1:6443"
LIMIT_SECONDS = 300.0
EXPECTED = (
    "address     ok   10.75.0.11/24 on enp0s2, gateway 10.75.0.1",
    "dns         ok   10.75.0.1 answers",
    "not synchronised. Let UDP port 123",
    "api         FAIL 10.75.0.1:6443 refused the connection. Is the control plane up?",
    "certificate wait none. The node asks for one when the API server answers.",
    "node        wait lonely waits for: api",
)


@pytest.fixture
def console(provider: LocalProvider, image: Image, tmp_path: Path) -> Path:
    """The console of a machine that is told to join a cluster at an address where nobody listens."""
    authority = ensure_pki(tmp_path / "pki", SystemClock()).certificate(CLUSTER).read_bytes()
    token = new_token().text
    bootstrap = bootstrap_kubeconfig(cluster="gone", server=SERVER, authority=authority, token=token)
    identity = MachineIdentity("lonely", "10.75.0.11", "10.244.1.0/24")
    credentials = machine_credentials(identity, JoinTarget(bootstrap, authority))
    provider.create(MachineOrder(number=1, name="lonely", pool="none", image=image.folder, credentials=credentials))
    return provider.console("lonely")


def test_the_console_says_what_keeps_the_node_from_joining(console: Path) -> None:
    def missing() -> str:
        seen = console.read_text(errors="replace")
        return "; ".join(line for line in EXPECTED if line not in seen)

    waited = wait_until(missing, SystemClock(), seconds=LIMIT_SECONDS, every=1)
    assert not waited.missing, console.read_text(errors="replace")[-3000:]
