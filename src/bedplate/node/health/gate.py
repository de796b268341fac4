"""The gate that a version has to pass before the boot loader is told that it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bedplate.host.clock import Clock
from bedplate.host.files import write_atomically
from bedplate.host.run import Runner
from bedplate.model.errors import MachineError
from bedplate.model.verdicts import Finding, Severity, as_lines, fatal
from bedplate.node.boot import boot_id, running_version
from bedplate.node.health.facts import Facts
from bedplate.node.health.rules import judge
from bedplate.node.health.verdict import FAILED, RECORD, Verdict
from bedplate.node.slots.slots import Slots

EVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Gate:
    """`gather` gives the facts, `say` tells what is missing; after `seconds` of that the version has failed.

    `slots` tell whether the boot loader counts this boot, and what it could start instead.
    """

    gather: Callable[[], Facts]
    say: Callable[[str], None]
    slots: Slots
    runner: Runner
    clock: Clock
    seconds: float
    root: Path = Path("/")

    def judge(self) -> Verdict:
        """Wait until nothing is wrong, or the time is over. What is missing is said once, and again when it changes."""
        started, said = self.clock.monotonic(), ""
        while True:
            findings = judge(self.gather())
            passed = self.clock.monotonic() - started
            if not fatal(findings):
                return self._verdict(findings, passed, good=True)
            if passed >= self.seconds:
                return self._verdict(findings, passed, good=False)
            if said != (said := as_lines(_wrong(findings))):
                self.say(f"Not healthy yet. {said}")
            self.clock.sleep(EVERY_SECONDS)

    def conclude(self, verdict: Verdict) -> int:
        """Write the verdict down and, where the version failed and another works, go back to that one at once.

        The reason lies in /var before the reboot, so that the other version can tell it. Remaining tries are for
        boots that come to no verdict, those that hang or panic, and for an ESP on which the other cannot be chosen.
        The result is the exit code. Raises `MachineError` when a good verdict cannot be written: it counts for nothing.
        """
        if verdict.passed:
            write_atomically(self.root / RECORD, msgspec.json.encode(verdict))
            self.say(f"{verdict.version} is healthy, {verdict.seconds:.0f} s after it was asked.")
            return 0
        self.say(f"{verdict.version} is not healthy. " + " ".join(verdict.findings))
        self._keep(verdict)
        entries = self.slots.entries()
        on_trial = any(each.root_hash == self.slots.root_hash and not each.is_proven for each in entries)
        others = [each.version for each in entries if each.root_hash != self.slots.root_hash]
        if on_trial and others:
            self.say(f"Going back to {others[0]}.")
            self._choose_other()
            self.runner.run(["systemctl", "reboot"], seconds=60)
        return 1

    def _keep(self, verdict: Verdict) -> None:
        """A disk that is full or broken may be just what is wrong, so it is no reason to stay."""
        for name in (RECORD, FAILED):
            try:
                write_atomically(self.root / name, msgspec.json.encode(verdict))
            except (MachineError, OSError) as problem:
                self.say(f"The verdict cannot be kept. {problem}")

    def _choose_other(self) -> None:
        """`UserError` ends it here: what could be gone back to is not whole. Otherwise the loader counts the boot."""
        try:
            self.slots.choose_other()
        except MachineError as problem:
            self.say(f"The boot loader has to give it up by itself, after its tries. {problem}")

    def _verdict(self, findings: tuple[Finding, ...], seconds: float, *, good: bool) -> Verdict:
        lines = tuple(f"{each.about}: {each.message}" for each in _wrong(findings))
        version, boot = running_version(self.root), boot_id(self.root)
        return Verdict(version, boot, good, self.clock.now(), seconds, lines)


def _wrong(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(each for each in findings if each.severity is Severity.ERROR)
