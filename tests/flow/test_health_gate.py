"""The gate waits for a version to be healthy, tells why it is not, and leaves it at once when another one works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.host.run import Completed
from bedplate.model.errors import BedplateError, MachineError, OurError, UserError
from bedplate.node.health.facts import Facts
from bedplate.node.health.gate import EVERY_SECONDS, STAYS, Gate
from bedplate.node.health.verdict import FAILED, RECORD, Verdicts, read_verdict
from bedplate.node.slots.loader import Entry
from bedplate.testing.clock import FakeClock
from bedplate.testing.runner import FakeRunner, completed

HEALTHY = Facts(
    asked=True,
    units=(),
    state_writable=True,
    disk_free=1 << 40,
    memory_free=1 << 30,
    containerd_answers=True,
    membership=None,
)
SICK = replace(HEALTHY, containerd_answers=False)
OWN, OTHER = Entry("b+2-1.efi", "b", "2" * 64, 2, 1), Entry("a.efi", "a", "1" * 64)


class Loader:
    """The part of `Slots` that the gate asks."""

    root_hash = OWN.root_hash

    def __init__(self, *entries: Entry) -> None:
        self.listed = entries
        self.chosen = False
        self.on_trial = False
        self.unreadable = False
        self.refusal: BedplateError | None = None
        self.looked = False

    def entries(self) -> tuple[Entry, ...]:
        if self.unreadable:
            raise MachineError("The ESP cannot be read.")
        return self.listed

    def require_other(self) -> Entry:
        self.looked = True
        if self.refusal:
            raise self.refusal
        return OTHER

    def choose_other(self, *, on_trial: bool = True) -> None:
        if self.refusal:
            raise self.refusal
        self.chosen, self.on_trial = True, on_trial


class World:
    def __init__(self, root: Path) -> None:
        self.root, self.clock, self.runner, self.said = root, FakeClock(), FakeRunner(self.act), list[str]()
        self.reboots = True
        for name, text in {
            "proc/sys/kernel/random/boot_id": "boot 7\n",
            "usr/lib/os-release": 'ID=bedplate\nIMAGE_VERSION="b"\n',
        }.items():
            (root / name).parent.mkdir(parents=True)
            (root / name).write_text(text)

    def act(self, argv: tuple[str, ...]) -> Completed:
        return completed(argv, code=0 if self.reboots else 1)

    @property
    def stays(self) -> bool:
        """Whether systemd is kept from starting the machine again when the gate ends without a good verdict."""
        return (self.root / STAYS).is_file()

    def pass_through(self, facts: Callable[[], Facts], loader: Loader) -> int:
        gate = Gate(facts, self.said.append, loader, self.runner, self.clock, 60.0, self.root)  # type: ignore[arg-type]  # a part
        return gate.run()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def always(facts: Facts) -> Callable[[], Facts]:
    return lambda: facts


def test_a_healthy_version_passes_at_once(world: World) -> None:
    assert world.pass_through(always(HEALTHY), Loader(OWN, OTHER)) == 0
    verdict = read_verdict((world.root / RECORD).read_bytes())
    assert verdict is not None
    assert (verdict.version, verdict.boot, verdict.passed, verdict.seconds) == ("b", "boot 7", True, 0)
    assert world.runner.commands == []


def test_a_version_may_take_its_time(world: World) -> None:
    seen: Iterator[Facts] = iter([SICK, SICK, HEALTHY])
    assert world.pass_through(lambda: next(seen), Loader(OWN, OTHER)) == 0
    assert world.clock.monotonic() == 2 * EVERY_SECONDS
    assert world.said[0] == "Not healthy yet. containerd: does not answer"
    assert len(world.said) == 2


def test_a_version_that_fails_is_left_at_once_with_the_reason_on_disk(world: World) -> None:
    loader = Loader(OWN, OTHER)
    assert world.pass_through(always(SICK), loader) == 1
    for name in (RECORD, FAILED):
        verdict = read_verdict((world.root / name).read_bytes())
        assert verdict is not None
        assert (verdict.passed, verdict.findings) == (False, ("containerd: does not answer",))
    assert loader.chosen
    assert not loader.on_trial
    assert world.runner.commands == [("systemctl", "reboot")]


def test_a_version_that_fails_is_left_even_if_the_reason_cannot_be_kept(world: World) -> None:
    (world.root / "var").touch()
    loader = Loader(OWN, OTHER)
    assert world.pass_through(always(SICK), loader) == 1
    assert loader.chosen
    assert world.runner.commands == [("systemctl", "reboot")]
    assert any("The verdict cannot be kept" in line for line in world.said)


def test_a_good_verdict_that_cannot_be_kept_does_not_count(world: World) -> None:
    (world.root / "var").touch()
    with pytest.raises(OSError, match="Not a directory"):
        world.pass_through(always(HEALTHY), Loader(OWN, OTHER))


@pytest.mark.parametrize("problem", [MachineError("The ESP cannot be written."), OurError("Another would be chosen.")])
def test_where_the_other_version_cannot_be_chosen_the_loader_counts_the_boot(
    world: World, problem: BedplateError
) -> None:
    loader = Loader(OWN, OTHER)
    loader.refusal = problem
    assert world.pass_through(always(SICK), loader) == 1
    assert world.runner.commands == [("systemctl", "reboot")]


@pytest.mark.parametrize("problem", [MachineError("The ESP cannot be written."), OurError("Another would be chosen.")])
def test_after_the_last_try_a_version_stays_until_the_other_can_be_chosen(world: World, problem: BedplateError) -> None:
    loader = Loader(OTHER, replace(OWN, left=0, done=3))
    loader.refusal = problem
    assert world.pass_through(always(SICK), loader) == 1
    assert (world.runner.commands, world.stays) == ([], True)
    assert f"It stays until the other version can be chosen. {problem}" in world.said


def test_a_reboot_that_was_asked_for_is_not_cut_short(world: World) -> None:
    """Pods get their time from logind; the unit that gives boots up would not wait for them."""
    assert world.pass_through(always(SICK), Loader(OWN, OTHER)) == 1
    assert (world.runner.commands, world.stays) == ([("systemctl", "reboot")], True)


def test_a_version_is_not_left_for_one_that_is_not_whole(world: World) -> None:
    loader = Loader(OWN, OTHER)
    loader.refusal = UserError("a in usr-a is not complete any more.")
    assert world.pass_through(always(SICK), loader) == 1
    assert (world.runner.commands, world.stays) == ([], True)
    assert "a in usr-a is not complete any more." in world.said[-1]


def test_a_reboot_that_fails_is_told_and_left_to_the_unit(world: World) -> None:
    world.reboots = False
    assert world.pass_through(always(SICK), Loader(OWN, OTHER)) == 1
    assert not world.stays
    assert "systemctl failed with code 1" in world.said[-1]


def test_where_the_loader_s_list_cannot_be_read_the_unit_decides(world: World) -> None:
    loader = Loader(OWN, OTHER)
    loader.unreadable = True
    assert world.pass_through(always(SICK), loader) == 1
    assert (world.runner.commands, world.stays) == ([], False)
    assert read_verdict((world.root / FAILED).read_bytes()) is not None


@pytest.mark.parametrize(
    "problem", [OSError(5, "Input/output error"), KeyError("ftp"), MachineError("The disk is gone.")]
)
def test_facts_that_cannot_be_gathered_are_a_finding_and_at_the_limit_a_bad_verdict(
    world: World, problem: Exception
) -> None:
    def gather() -> Facts:
        raise problem

    loader = Loader(OWN, OTHER)
    assert world.pass_through(gather, loader) == 1
    assert world.clock.monotonic() >= 60
    assert loader.chosen
    verdict = read_verdict((world.root / FAILED).read_bytes())
    assert verdict is not None
    assert verdict.findings == (f"health: cannot be asked for: {type(problem).__name__}: {problem}",)


def test_facts_that_could_not_be_gathered_once_may_be_good_later(world: World) -> None:
    rounds = iter([True, False])

    def gather() -> Facts:
        if next(rounds):
            raise OSError(5, "Input/output error")
        return HEALTHY

    assert world.pass_through(gather, Loader(OWN, OTHER)) == 0


def test_a_version_that_was_blessed_before_stays(world: World) -> None:
    loader = Loader(replace(OWN, left=None, done=0), OTHER)
    assert world.pass_through(always(SICK), loader) == 1
    assert (loader.chosen, world.runner.commands) == (False, [])


@pytest.mark.parametrize(("left", "done"), [(0, 1), (0, 2), (0, 4)])
def test_a_boot_for_want_of_a_better_version_is_not_left_for_the_one_that_was_given_up(
    world: World, left: int, done: int
) -> None:
    loader = Loader(replace(OTHER, left=0, done=3), replace(OWN, left=left, done=done))
    assert world.pass_through(always(SICK), loader) == 1
    assert (loader.chosen, world.runner.commands, world.stays) == (False, [], True)


def test_a_boot_for_want_of_a_better_version_stays_though_that_was_seen_only_once_it_was_judged(world: World) -> None:
    loader = Loader(replace(OTHER, left=0, done=3), replace(OWN, left=0, done=1))
    loader.unreadable = True

    def gather() -> Facts:
        loader.unreadable = False
        return SICK

    assert world.pass_through(gather, loader) == 1
    assert (world.runner.commands, world.stays) == ([], True)


def test_a_blessed_version_stays_though_a_copy_with_a_counter_was_left_behind(world: World) -> None:
    loader = Loader(replace(OWN, file="b.efi", left=None, done=0), OWN, OTHER)
    assert world.pass_through(always(SICK), loader) == 1
    assert (loader.chosen, world.runner.commands, world.stays) == (False, [], True)


def test_without_another_version_there_is_nothing_to_go_back_to(world: World) -> None:
    assert world.pass_through(always(SICK), Loader(OWN)) == 1
    assert (world.runner.commands, world.stays) == ([], True)


@pytest.mark.parametrize(("left", "done"), [(2, 1), (1, 2), (0, 3)])
def test_whatever_becomes_of_the_gate_a_try_may_end_in_another_boot(world: World, left: int, done: int) -> None:
    assert ends_without_a_word(world, Loader(replace(OWN, left=left, done=done), OTHER))
    assert not world.stays


@pytest.mark.parametrize(("left", "done"), [(None, 0), (0, 1), (0, 2), (0, 4)])
def test_whatever_becomes_of_the_gate_a_boot_that_is_no_try_stays(world: World, left: int | None, done: int) -> None:
    """Blessed; set back and started for want of another; given up and started all the same: it would come again."""
    assert ends_without_a_word(world, Loader(replace(OWN, left=left, done=done), OTHER))
    assert world.stays


@pytest.mark.parametrize("problem", [UserError("a is not complete any more."), MachineError("It cannot be read.")])
def test_the_last_try_stays_whatever_becomes_of_the_gate_where_nothing_whole_is_known_to_come_next(
    world: World, problem: BedplateError
) -> None:
    loader = Loader(OTHER, replace(OWN, left=0, done=3))
    loader.refusal = problem
    assert ends_without_a_word(world, loader)
    assert world.stays
    assert str(problem) in world.said[0]


def test_the_other_slot_is_looked_through_before_the_last_try_alone(world: World) -> None:
    for left, looked in ((2, False), (1, False), (0, True)):
        loader = Loader(replace(OWN, left=left, done=3 - left), OTHER)
        world.pass_through(always(HEALTHY), loader)
        assert loader.looked is looked


def ends_without_a_word(world: World, loader: Loader) -> bool:
    """Let the gate be ended from outside while it asks."""

    def gather() -> Facts:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.pass_through(gather, loader)
    return not (world.root / RECORD).exists()


def test_the_reason_outlives_the_verdict_on_the_version_that_runs_next(world: World) -> None:
    world.pass_through(always(SICK), Loader(OWN, OTHER))
    world.pass_through(always(HEALTHY), Loader(OWN, OTHER))
    verdict = read_verdict((world.root / FAILED).read_bytes())
    assert verdict is not None
    assert not verdict.passed


def test_a_verdict_that_cannot_be_read_is_none_and_told_once(world: World) -> None:
    world.pass_through(always(SICK), Loader(OWN, OTHER))
    (world.root / FAILED).unlink()
    (world.root / FAILED).mkdir()
    said: list[str] = []
    verdicts = Verdicts(world.root, said.append)
    for _ in range(2):
        assert verdicts.read(FAILED) is None
        assert verdicts.read(RECORD) is not None
    (line,) = said
    assert "A verdict of the health gate cannot be read" in line


@pytest.mark.parametrize("text", [b"", b'{"version": "b"', b"\xff"])
def test_a_verdict_that_was_cut_short_is_none(text: bytes) -> None:
    assert read_verdict(text) is None
