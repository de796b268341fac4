"""Asks the machine for the facts that the rules judge."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bedplate.host.machine import Machine
from bedplate.host.places import Places
from bedplate.host.run import ProgramFailed, Runner
from bedplate.local.preflight.rules import Facts
from bedplate.model.errors import MachineError

PROGRAMS = ("qemu-system-x86_64", "qemu-img", "unshare", "ip", "dnsmasq", "docker-registry", "mmdebstrap", "gcc")
ROOTLESS_PROGRAMS = ("newuidmap", "newgidmap")
FIRMWARE = (Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd"))
"""As the package ovmf of Debian 12 has them: empty keys, so ours can be enrolled."""
TRY_SECONDS = 1.5


def gather(machine: Machine, runner: Runner, places: Places, *, kvm: bool, ports: Collection[int] = ()) -> Facts:
    """The facts, within a few seconds. `ports` are those to be free; whether KVM works is asked elsewhere."""
    root = machine.is_root()
    programs = PROGRAMS if root else PROGRAMS + ROOTLESS_PROGRAMS
    return Facts(
        cores=machine.cores(),
        memory=machine.available_memory(),
        space=min(machine.free_space(places.cache), machine.free_space(places.state)),
        built=any((places.cache / "images").glob("*/manifest.json")),
        missing=tuple(name for name in programs if not machine.program(name)),
        firmware=all(machine.is_file(path) for path in FIRMWARE),
        namespaces=_namespaces(runner),
        tun=machine.opens(Path("/dev/net/tun")),
        root=root,
        subordinate_uids=machine.subordinate_ids(Path("/etc/subuid")),
        subordinate_gids=machine.subordinate_ids(Path("/etc/subgid")),
        ports_taken=tuple(port for port in sorted(ports) if not machine.port_free(port)),
        kvm=kvm,
    )


def _namespaces(runner: Runner) -> str:
    """Why no user namespace can be made, empty when one can: sysctls only hint, so it is really tried."""
    try:
        runner.run(["unshare", "--user", "--map-root-user", "--net", "true"], seconds=TRY_SECONDS)
    except ProgramFailed as problem:
        said = problem.completed.stderr.decode(errors="replace").strip()
        return said or f"unshare ended with {problem.completed.code}"
    except MachineError as problem:
        return problem.brief.rstrip(".")
    return ""
