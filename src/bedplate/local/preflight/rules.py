"""From the facts of a machine to findings, all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bedplate.model.errors import MachineError
from bedplate.model.verdicts import Finding, Severity, as_lines, fatal

GIB = 1024**3
SPACE_LEAST, SPACE_AMPLE = 13 * GIB, 25 * GIB
"""Where nothing was built yet: caches of 10.5 GiB, 8 of them Go's, a cluster of 1.5, and what lies there on the way."""
BUILT_SPACE_LEAST, BUILT_SPACE_AMPLE = 3 * GIB, 10 * GIB
"""Where an image was built before: one more takes 1 GiB while it is made and 0.6 after; then comes the cluster."""
MEMORY_LEAST, MEMORY_AMPLE = 3 * GIB, 6 * GIB
"""One machine and the control plane, or the largest compiler run (2.7 GB); two machines and both at once."""
IDS = 65536
"""A system tree has users up to 65534, so a container of its own needs so many ids."""
SETUP = "Run ./dev setup, which installs it."


@dataclass(frozen=True, slots=True)
class Facts:
    """What a machine has. Sizes are bytes; `namespaces` and `missing` are empty where all is well.

    `built`: an image was built here before, so the caches are there and need no more space.
    """

    cores: int
    memory: int
    space: int
    built: bool
    missing: tuple[str, ...]
    firmware: bool
    namespaces: str
    tun: bool
    root: bool
    subordinate_uids: int
    subordinate_gids: int
    ports_taken: tuple[int, ...]
    kvm: bool


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Every finding, what holds included, in the order in which people read them."""
    checks = (_space, _memory, _cores, _programs, _firmware, _namespaces, _tun, _ids, _ports, _kvm)
    return tuple(finding for check in checks for finding in check(facts))


def require_ready(facts: Facts) -> tuple[Finding, ...]:
    """The findings, or a `MachineError` that names every one that stands in the way."""
    found = judge(facts)
    if fatal(found):
        errors = [each for each in found if each.severity is Severity.ERROR]
        things = "one thing" if len(errors) == 1 else f"{len(errors)} things"
        raise MachineError(f"This machine lacks {things} that a local cluster needs.", details=as_lines(errors))
    return found


def _space(facts: Facts) -> Iterator[Finding]:
    least, ample = (BUILT_SPACE_LEAST, BUILT_SPACE_AMPLE) if facts.built else (SPACE_LEAST, SPACE_AMPLE)
    yield _amount("disk", facts.space, least, ample, "Free some, or set XDG_CACHE_HOME to a larger disk.")


def _memory(facts: Facts) -> Iterator[Finding]:
    yield _amount("memory", facts.memory, MEMORY_LEAST, MEMORY_AMPLE, "Close programs, or start fewer machines.")


def _amount(about: str, have: int, least: int, ample: int, advice: str) -> Finding:
    said = f"{have / GIB:.1f} GiB available"
    if have < least:
        return Finding(Severity.ERROR, about, f"{said}, at least {least // GIB} are needed.", advice)
    if have < ample:
        return Finding(Severity.WARNING, about, f"{said}, {ample // GIB} would be ample.", advice)
    return Finding(Severity.GOOD, about, f"{said}.")


def _cores(facts: Facts) -> Iterator[Finding]:
    if facts.cores < 2:
        yield Finding(Severity.WARNING, "cores", "One core: everything takes about twice as long.", "Give it two.")
    else:
        yield Finding(Severity.GOOD, "cores", f"{facts.cores} cores.")


def _programs(facts: Facts) -> Iterator[Finding]:
    if not facts.missing:
        yield Finding(Severity.GOOD, "programs", "All are there.")
    for name in facts.missing:
        yield Finding(Severity.ERROR, "programs", f"{name} is not in PATH.", SETUP)


def _firmware(facts: Facts) -> Iterator[Finding]:
    if facts.firmware:
        yield Finding(Severity.GOOD, "firmware", "OVMF with Secure Boot.")
    else:
        yield Finding(Severity.ERROR, "firmware", "OVMF with Secure Boot is not there (package ovmf).", SETUP)


def _namespaces(facts: Facts) -> Iterator[Finding]:
    if not facts.namespaces:
        yield Finding(Severity.GOOD, "namespaces", "User namespaces work.")
        return
    advice = (
        "Look at sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns and"
        " user.max_user_namespaces; a container must allow them."
    )
    yield Finding(Severity.ERROR, "namespaces", f"A user namespace cannot be made ({facts.namespaces}).", advice)


def _tun(facts: Facts) -> Iterator[Finding]:
    if facts.tun:
        yield Finding(Severity.GOOD, "network", "/dev/net/tun opens.")
    else:
        advice = "Load the module tun; in a container, pass the device in."
        yield Finding(Severity.ERROR, "network", "/dev/net/tun cannot be opened.", advice)


def _ids(facts: Facts) -> Iterator[Finding]:
    """Root has all ids anyway."""
    if facts.root:
        return
    for table, count in (("/etc/subuid", facts.subordinate_uids), ("/etc/subgid", facts.subordinate_gids)):
        if count < IDS:
            option = table.removeprefix("/etc/").removesuffix("id")
            advice = f"As root: usermod --add-{option}ids 100000-{100000 + IDS - 1} YOUR-NAME"
            yield Finding(Severity.ERROR, "ids", f"{table} gives you {count} ids, {IDS} are needed.", advice)


def _ports(facts: Facts) -> Iterator[Finding]:
    for port in facts.ports_taken:
        advice = f"Stop what listens there (ss -ltnp sport = :{port}), or choose another port."
        yield Finding(Severity.ERROR, "ports", f"127.0.0.1:{port} is taken.", advice)


def _kvm(facts: Facts) -> Iterator[Finding]:
    if facts.kvm:
        yield Finding(Severity.GOOD, "KVM", "A guest runs on it.")
    else:
        message = "No guest runs on it, so machines are emulated and boot in minutes, not seconds."
        yield Finding(Severity.WARNING, "KVM", message, "Use a machine with /dev/kvm, or wait.")
