"""From facts to a verdict on the version that runs: every finding, not the first."""

from __future__ import annotations

from bedplate.model.network import Answer, Reach
from bedplate.model.verdicts import Finding, Severity
from bedplate.node.health.facts import Facts, Membership

LEAST_DISK, LEAST_MEMORY = 256 << 20, 64 << 20
OURS = frozenset({"bedplate-health.service", "boot-complete.target", "systemd-bless-boot.service"})
"""Units that fail because of this verdict, so they cannot be part of it."""
OK = 200


def judge(facts: Facts) -> tuple[Finding, ...]:
    """All that was checked, always in the same order; an error means that the version does not work."""
    members = membership(facts.membership)
    return (*units(facts), disk(facts), memory(facts), containerd(facts), *members, settings(facts), *probes(facts))


def units(facts: Facts) -> tuple[Finding, ...]:
    if not facts.asked:
        return (_bad("units", "systemd does not answer"),)
    bad = [unit for unit in facts.units if unit.name not in OURS]
    if not bad:
        return (_good("units", "none has failed"),)
    return tuple(
        _bad(unit.name, f"{'ends again and again' if unit.restarts else 'failed'}{_words(unit.last_words)}")
        for unit in bad
    )


def disk(facts: Facts) -> Finding:
    if not facts.state_writable:
        return _bad("disk", "the state partition cannot be written")
    if facts.disk_free < LEAST_DISK:
        return _bad("disk", f"{_mib(facts.disk_free)} free on the state partition, less than {_mib(LEAST_DISK)}")
    return _good("disk", f"{_mib(facts.disk_free)} free")


def memory(facts: Facts) -> Finding:
    if facts.memory_free < LEAST_MEMORY:
        return _bad("memory", f"{_mib(facts.memory_free)} available, less than {_mib(LEAST_MEMORY)}")
    return _good("memory", f"{_mib(facts.memory_free)} available")


def containerd(facts: Facts) -> Finding:
    return _good("containerd", "answers") if facts.containerd_answers else _bad("containerd", "does not answer")


def membership(member: Membership | None) -> tuple[Finding, ...]:
    if member is None:
        return (_good("kubelet", "the machine belongs to no cluster"),)
    return kubelet(member.kubelet), node(member)


def kubelet(answer: Answer) -> Finding:
    if answer.status == OK:
        return _good("kubelet", "healthy")
    said = " ".join(answer.body.decode(errors="replace").split()) if answer.status else answer.reach.value
    return _bad("kubelet", f"/healthz: {answer.status or ''} {said}".replace(":  ", ": "))


def node(member: Membership) -> Finding:
    if member.ready and member.told:
        return _good("node", "Ready")
    if member.api.reach is not Reach.ANSWERED:
        return _bad("node", f"the API server cannot be asked: {member.api.reach.value}")
    if member.api.status != OK:
        return _bad("node", f"the API server answers {member.api.status}")
    if not member.told:
        return _bad("node", "has not told the API server of this boot")
    return _bad("node", f"not Ready{_words(member.message)}")


def settings(facts: Facts) -> Finding:
    """An agent that cannot use them does not run: a version on which it does not could never be left by an update."""
    if facts.unsettled:
        return _bad("settings", f"they cannot be used, so no probe was asked: {facts.unsettled}")
    return _good("settings", "can be used")


def probes(facts: Facts) -> tuple[Finding, ...]:
    return tuple(
        _bad(f"probe {each.name}", each.problem) if each.problem else _good(f"probe {each.name}", "holds")
        for each in facts.probed
    )


def _good(about: str, message: str) -> Finding:
    return Finding(Severity.GOOD, about, message)


def _bad(about: str, message: str) -> Finding:
    return Finding(Severity.ERROR, about, message)


def _words(text: str) -> str:
    return f": {text}" if text else ""


def _mib(size: int) -> str:
    return f"{size >> 20} MiB"
