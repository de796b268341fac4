"""The gate that a version has to pass before the boot loader is told that it works."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bedplate.host.clock import Clock
from bedplate.host.files import write_atomically
from bedplate.host.run import Runner
from bedplate.model.errors import BedplateError, MachineError, OurError, UserError
from bedplate.model.verdicts import Finding, Severity, as_lines, fatal
from bedplate.node.boot import boot_id, running_version
from bedplate.node.health.facts import Facts
from bedplate.node.health.rules import judge
from bedplate.node.health.verdict import FAILED, RECORD, Verdict
from bedplate.node.slots.loader import Entry
from bedplate.node.slots.rules import is_on_trial
from bedplate.node.slots.slots import Slots

EVERY_SECONDS = 5.0
STAYS = "run/bedplate/health/stays"
"""Where it is there, a boot without a good verdict is not ended: nothing better comes, or it ends anyway."""


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

    def run(self) -> int:
        """Judge this boot; the exit code is 0 for a version that works.

        With any other the unit fails, also without a word from here, and bedplate-give-up.service starts the machine
        again where the loader counts its tries. STAYS keeps it from that.
        """
        self._look_ahead()
        return self.conclude(self.judge())

    def judge(self) -> Verdict:
        """Wait until nothing is wrong, or the time is over. What is missing is said once, and again when it changes."""
        started, said = self.clock.monotonic(), ""
        while True:
            findings = self._findings()
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
        boots that come to no verdict, those that hang or panic, and for a disk on which the other cannot be chosen.
        Raises `MachineError` when a good verdict cannot be written: it counts for nothing.
        """
        if verdict.passed:
            write_atomically(self.root / RECORD, msgspec.json.encode(verdict))
            self.say(f"{verdict.version} is healthy, {verdict.seconds:.0f} s after it was asked.")
            return 0
        self.say(f"{verdict.version} is not healthy. " + " ".join(verdict.findings))
        self._keep(verdict)
        try:
            self._go_back()
        except UserError as problem:
            self._stay(f"It stays, for want of a better one. {problem}")
        except BedplateError as problem:
            self.say(f"It cannot go back by itself: systemd starts the machine again while there are tries. {problem}")
        return 1

    def _look_ahead(self) -> None:
        """A boot that is none of a new version's TRIES had better stay, whatever becomes of the gate.

        The loader starts a version without tries where it has no other, and would do so again. After the last try it
        comes to the other one: not unless that is known to be whole.
        """
        try:
            tried = self._tried(self.slots.entries())
        except Exception as problem:  # noqa: BLE001 — to judge goes first, and the unit knows by itself
            self.say(f"It cannot be told whether this boot is counted. {problem}")
            return
        if not tried:
            self._stay()
        elif not tried[0].left:
            self._look_at_other()

    def _tried(self, entries: Iterable[Entry]) -> list[Entry]:
        """What is listed of the running version, where this boot is one of its tries."""
        own = [each for each in entries if each.root_hash == self.slots.root_hash]
        return [each for each in own if is_on_trial(each)] if all(each.left is not None for each in own) else []

    def _look_at_other(self) -> None:
        try:
            self.slots.require_other()
        except Exception as problem:  # noqa: BLE001 — likewise; what is not known to be whole is not
            self._stay(f"After this try, nothing would come that is known to be whole. {problem}")

    def _stay(self, why: str = "") -> None:
        if why:
            self.say(why)
        self._write(STAYS, b"", "So it may start again.")

    def _findings(self) -> tuple[Finding, ...]:
        try:
            return judge(self.gather())
        except Exception as problem:  # noqa: BLE001 — what nobody foresaw is as good a reason not to count it as healthy
            words = " ".join(f"{type(problem).__name__}: {problem}".split())
            return (Finding(Severity.ERROR, "health", f"cannot be asked for: {words}"),)

    def _keep(self, verdict: Verdict) -> None:
        for name in (RECORD, FAILED):
            self._write(name, msgspec.json.encode(verdict), "The verdict cannot be kept.")

    def _write(self, name: str, text: bytes, otherwise: str) -> None:
        """A disk that is full or broken may be just what is wrong, so it is no reason to stop."""
        try:
            write_atomically(self.root / name, text)
        except (MachineError, OSError) as problem:
            self.say(f"{otherwise} {problem}")

    def _go_back(self) -> None:
        """Raises `UserError` when nothing better is there, any other error where it cannot be gone back to.

        A boot that is no try is one for want of a better: to leave it would be to take turns.
        """
        entries = self.slots.entries()
        tried = self._tried(entries)
        if not tried:
            self._stay()
            return
        others = [each.version for each in entries if each.root_hash != self.slots.root_hash]
        if not others:
            raise UserError("There is no other version to go back to.")
        self.say(f"Going back to {others[0]}.")
        if self._choose_other(last=not any(each.left for each in tried)):
            self.runner.run(["systemctl", "reboot"], seconds=60)
            self._stay()  # logind gives pods their time, and give-up.service gives none

    def _choose_other(self, *, last: bool) -> bool:
        """Whether to reboot now. `UserError` ends it here: what could be gone back to is not whole.

        Where the other cannot be chosen for now, the loader counts the boot; after the last try it would go where
        nobody has looked, so the agent tries again instead.
        """
        try:
            self.slots.choose_other(on_trial=False)
        except (MachineError, OurError) as problem:
            if last:
                self._stay(f"It stays until the other version can be chosen. {problem}")
                return False
            self.say(f"The boot loader has to give it up by itself, after its tries. {problem}")
        return True

    def _verdict(self, findings: tuple[Finding, ...], seconds: float, *, good: bool) -> Verdict:
        lines = tuple(f"{each.about}: {each.message}" for each in _wrong(findings))
        version, boot = running_version(self.root), boot_id(self.root)
        return Verdict(version, boot, good, self.clock.now(), seconds, lines)


def _wrong(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(each for each in findings if each.severity is Severity.ERROR)
