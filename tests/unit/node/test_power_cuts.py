"""At any instant of an update a power cut leaves a disk that boots a complete version.

Each step sequence runs on a disk that records sectors and flushes. Every state that a cut may leave is then followed
as firmware, loader and initrd would.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.model.errors import UserError
from bedplate.node.slots.esp import look
from bedplate.node.slots.slots import Slots
from bedplate.testing.disks import FakeDisks, after, cuts, epochs
from bedplate.testing.slots import Version, boot, make_disk, make_disks, make_version
from bedplate.wire.fat_space import lost_clusters
from bedplate.wire.gpt import read_disk, with_identities, writes

OLDEST, BEFORE, NOW, NEXT, LATER = (make_version(count) for count in range(5))
LARGE = make_version(5, uki_bytes=70_000)
"""Its UKI has more clusters than one sector of the FAT tells of."""
ALL = (OLDEST, BEFORE, NOW, NEXT, LATER, LARGE)
PROVEN = {f"{NOW.name}.efi": NOW.uki}
KEPT = 0.02
"""The share of states from which the sequence is run again to its end."""


@dataclass(frozen=True)
class Case:
    """A sequence that the agent runs, on which disk, and what may boot while it does; `then` boots at its end."""

    ukis: dict[str, bytes]
    run: Callable[[Slots], None]
    then: Version
    other: Version = BEFORE
    first: Version = NOW
    second_name: str = ""
    lost: int = 0
    rotten: bool = False
    """Whether the other slot is not whole."""


def update(to: Version) -> Callable[[Slots], None]:
    def run(slots: Slots) -> None:
        slots.clear()
        first = slots.resume_point(to.release.usr)
        slots.write_usr(to.release.usr, [to.usr][first:], first=first)
        slots.seal(to.release)
        slots.identify(to.release)
        slots.install(to.release, [to.uki])

    return run


def leave(slots: Slots) -> None:
    slots.choose_other(on_trial=False)


def leave_what_cannot_be_left(slots: Slots) -> None:
    with suppress(UserError):
        slots.choose_other(on_trial=False)


def clear_and_bless(slots: Slots) -> None:
    slots.bless()
    slots.clear()


CASES = {
    "update": Case(PROVEN | {f"{BEFORE.name}.efi": BEFORE.uki}, update(NEXT), then=NEXT),
    "update over a version that failed": Case(PROVEN | {f"{NEXT.name}+0-3.efi": NEXT.uki}, update(LATER), LATER, NEXT),
    "update over one not tried yet": Case(PROVEN | {f"{NEXT.name}+3.efi": NEXT.uki}, update(LATER), LATER, NEXT, NEXT),
    "update over a large one not tried yet": Case(
        PROVEN | {f"{LARGE.name}+3.efi": LARGE.uki}, update(LATER), LATER, LARGE, LARGE
    ),
    "update to an older version": Case(PROVEN | {f"{BEFORE.name}.efi": BEFORE.uki}, update(OLDEST), then=OLDEST),
    "update after a renaming that was cut": Case(PROVEN, update(NEXT), then=NEXT, second_name=f"{NOW.name}+2-1.efi"),
    "update with clusters lost before": Case(PROVEN | {f"{BEFORE.name}.efi": BEFORE.uki}, update(NEXT), NEXT, lost=9),
    "go back by hand": Case(PROVEN | {f"{BEFORE.name}.efi": BEFORE.uki}, Slots.choose_other, then=BEFORE),
    "go back to one that failed": Case(
        PROVEN | {f"{NEXT.name}+0-3.efi": NEXT.uki}, Slots.choose_other, then=NEXT, other=NEXT
    ),
    "leave an older one that failed": Case(
        {f"{NOW.name}+2-1.efi": NOW.uki, f"{NEXT.name}+0.efi": NEXT.uki}, leave, then=NEXT, other=NEXT
    ),
    "leave for one that is not whole": Case(
        {f"{NOW.name}+2-1.efi": NOW.uki, f"{BEFORE.name}.efi": BEFORE.uki}, leave_what_cannot_be_left, NOW, rotten=True
    ),
    "bless": Case({f"{NOW.name}+2-1.efi": NOW.uki, f"{BEFORE.name}.efi": BEFORE.uki}, Slots.bless, then=NOW),
    "bless and clear": Case({f"{NOW.name}+2-1.efi": NOW.uki, f"{BEFORE.name}.efi": BEFORE.uki}, clear_and_bless, NOW),
}


def disk_of(case: Case, sector: int = 512) -> bytes:
    disks = make_disks(make_disk({"usr-a": NOW, "usr-b": case.other}, case.ukis, sector=sector))
    if case.second_name:
        with disks.esp(Slots(disks, root_hash=NOW.root_hash).layout().esp) as esp:
            esp.add_second_name(f"EFI/Linux/{NOW.name}.efi", case.second_name)
    if case.lost:
        with disks.esp(Slots(disks, root_hash=NOW.root_hash).layout().esp) as esp:
            esp.lose(case.lost)
    if case.rotten:
        disks.medium.data[Slots(disks, root_hash=NOW.root_hash).layout().other.data.start] ^= 1
    return bytes(disks.medium.data)


def run(case: Case, start: bytes) -> FakeDisks:
    disks = make_disks(start)
    case.run(Slots(disks, root_hash=NOW.root_hash))
    return disks


def require_boot(disk: bytes, case: Case) -> str:
    found = boot(disk, ALL)
    assert found.problem == ""
    assert found.version in {NOW.name, case.first.name, case.then.name}
    return found.version


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_cut_leaves_a_version_that_boots(case: Case, sector: int) -> None:
    start = disk_of(case, sector)
    disks = run(case, start)
    assert after(start, [each for stretch in epochs(disks.medium.events) for each in stretch]) == disks.medium.data
    count = 0
    for state in cuts(start, disks.medium.events):
        count += 1
        require_boot(state, case)
    assert require_boot(bytes(disks.medium.data), case) == case.then.name
    assert count > 50


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_after_a_cut_the_same_steps_come_to_the_same_end(case: Case) -> None:
    start = disk_of(case)
    states = list(cuts(start, run(case, start).medium.events))
    for state in states[:: max(1, int(len(states) * KEPT))]:
        if boot(state, ALL).version != NOW.name and case.first is NOW:
            continue  # done: what boots is what was to be reached
        ended = run(case, state)
        assert require_boot(bytes(ended.medium.data), case) == case.then.name


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_cut_left_of_the_esp_is_given_back_by_the_next_update(case: Case) -> None:
    start = disk_of(case)
    for state in list(cuts(start, run(case, start).medium.events))[::20]:
        booted = next(each for each in ALL if each.name == boot(state, ALL).version)
        disks = make_disks(state, running="usr-a" if booted is NOW else "usr-b")
        slots = Slots(disks, root_hash=booted.root_hash)
        slots.bless()
        slots.clear()
        assert lost(disks, slots) == ()


def lost(disks: FakeDisks, slots: Slots) -> tuple[int, ...]:
    with disks.partition(slots.layout().esp) as device:
        return lost_clusters(look(device).volume)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(CASES)))
def test_cuts_while_going_on_after_cuts(data: st.DataObject, name: str) -> None:
    """Up to three cuts one after another, each with sectors lost by lot."""
    case = CASES[name]
    disk = disk_of(case)
    for _ in range(data.draw(st.integers(1, 3))):
        if boot(disk, ALL).version != NOW.name and case.first is NOW:
            return
        stretches = epochs(run(case, disk).medium.events)
        at = data.draw(st.integers(0, len(stretches) - 1))
        written = stretches[at]
        mask = data.draw(st.integers(0, (1 << len(written)) - 1))
        durable = after(disk, [each for stretch in stretches[:at] for each in stretch])
        disk = after(durable, [each for n, each in enumerate(written) if mask >> n & 1])
        require_boot(disk, case)
    if case.first is not NOW or boot(disk, ALL).version == NOW.name:
        require_boot(bytes(run(case, disk).medium.data), case)


def test_names_that_cuts_left_behind_the_end_of_the_folder_are_in_nobodys_way() -> None:
    """Of two cuts while a name was written over several sectors, each kept the later ones."""
    case = CASES["bless"]
    disk = disk_of(case)
    for kept in ({3}, {4, 9}):
        written = epochs(run(case, disk).medium.events)[0]
        disk = after(disk, [each for n, each in enumerate(written) if n in kept])
        require_boot(disk, case)
    assert require_boot(bytes(run(case, disk).medium.data), case) == case.then.name


def flawed(step: Callable[[Slots, FakeDisks], None]) -> list[str]:
    """What would be wrong after a cut somewhere in a step that somebody might take instead."""
    start = disk_of(CASES["update"])
    disks = make_disks(start)
    step(Slots(disks, root_hash=NOW.root_hash), disks)
    return [boot(state, ALL).problem for state in cuts(start, disks.medium.events)]


def remove_without_disarming(slots: Slots, disks: FakeDisks) -> None:
    update(LARGE)(slots)
    with disks.esp(slots.layout().esp) as esp:
        esp.remove(f"EFI/Linux/{LARGE.name}+3.efi")


def write_at_once(slots: Slots, disks: FakeDisks) -> None:
    slots.clear()
    slots.write_usr(NEXT.release.usr, [NEXT.usr])
    slots.seal(NEXT.release)
    slots.identify(NEXT.release)
    with disks.esp(slots.layout().esp) as esp:
        esp.create(f"EFI/Linux/{NEXT.name}+3.efi")
        esp.write_at(f"EFI/Linux/{NEXT.name}+3.efi", 0, NEXT.uki)


def write_the_slot_before_clearing(slots: Slots, disks: FakeDisks) -> None:
    update(NEXT)(slots)
    with disks.partition(slots.layout().other.data) as device:
        device.write_at(0, LATER.usr)


def write_both_tables_at_once(slots: Slots, disks: FakeDisks) -> None:
    slots.clear()
    with disks.disk() as disk:
        table = with_identities(read_disk(disk), {"usr-b": UUID(int=5)})
        for half in writes(table, disk.size):
            for each in half:
                disk.write_at(each.offset, each.data)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (remove_without_disarming, "its UKI is not as it was signed: the firmware stops here"),
        (write_at_once, "its UKI is not as it was signed: the firmware stops here"),
        (write_the_slot_before_clearing, "its /usr is not whole"),
        (write_both_tables_at_once, "the partition table cannot be read"),
    ],
)
def test_the_cuts_find_what_is_wrong_with_other_orders(step: Callable[[Slots, FakeDisks], None], problem: str) -> None:
    assert problem in flawed(step)
