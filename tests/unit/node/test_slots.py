"""The steps of an update on the disk of a small node: what they do, and when they refuse."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from bedplate.model.errors import MachineError, OurError, UserError
from bedplate.model.reading import InMemory
from bedplate.node.slots.esp import look
from bedplate.node.slots.slots import Slots, Unusable
from bedplate.testing.disks import FakeDisks
from bedplate.testing.slots import SIZES, Version, boot, make_disk, make_disks, make_version, part_of
from bedplate.testing.uki import make_uki

BEFORE, NOW, NEXT = make_version(1), make_version(2), make_version(3)
ALL = (BEFORE, NOW, NEXT)


def node() -> FakeDisks:
    """NOW runs from usr-a; usr-b has the version before."""
    return with_ukis({f"{NOW.name}.efi": NOW.uki, f"{BEFORE.name}.efi": BEFORE.uki})


def with_ukis(ukis: dict[str, bytes]) -> FakeDisks:
    return make_disks(make_disk({"usr-a": NOW, "usr-b": BEFORE}, ukis))


def slots_of(disks: FakeDisks, running: Version = NOW) -> Slots:
    return Slots(disks, root_hash=running.root_hash)


def update(slots: Slots, to: Version) -> None:
    slots.clear()
    slots.write_usr(to.release.usr, [to.usr])
    slots.seal(to.release)
    slots.identify(to.release)
    slots.install(to.release, [to.uki])


def listed(slots: Slots) -> list[str]:
    return [each.file for each in slots.entries()]


def test_the_slots_are_told_apart_by_the_root_hash() -> None:
    layout = slots_of(node()).layout()
    assert (layout.running.name, layout.other.name) == ("usr-a", "usr-b")
    layout = slots_of(node(), BEFORE).layout()
    assert (layout.running.name, layout.other.name) == ("usr-b", "usr-a")


def test_a_version_that_is_in_no_slot_means_hands_off() -> None:
    with pytest.raises(MachineError, match="No slot carries the identity"):
        slots_of(node(), NEXT).layout()


def test_an_update_boots_the_new_version_and_keeps_the_running_one() -> None:
    disks = node()
    slots = slots_of(disks)
    update(slots, NEXT)
    assert listed(slots) == [f"{NEXT.name}+3.efi", f"{NOW.name}.efi"]
    assert boot(bytes(disks.medium.data), ALL).version == NEXT.name
    assert boot(bytes(disks.medium.data), ALL).problem == ""


def test_each_step_can_be_repeated() -> None:
    disks = node()
    slots = slots_of(disks)
    for step in (
        slots.clear,
        lambda: slots.write_usr(NEXT.release.usr, [NEXT.usr]),
        lambda: slots.seal(NEXT.release),
        lambda: slots.identify(NEXT.release),
    ):
        step()
        once = bytes(disks.medium.data)
        step()
        assert bytes(disks.medium.data) == once


def test_the_running_slot_and_the_files_of_the_loader_stay_as_they_were() -> None:
    disks = node()
    slots = slots_of(disks)
    running = slots.layout().running
    before = [bytes(disks.medium.data[p.start : p.start + p.size]) for p in (running.data, running.tree)]
    update(slots, NEXT)
    assert [bytes(disks.medium.data[p.start : p.start + p.size]) for p in (running.data, running.tree)] == before
    with disks.esp(slots.layout().esp) as esp:
        assert esp.read_at("loader/loader.conf", 0, 99) == b"timeout 0\n"


def test_an_older_version_is_chosen_and_the_running_one_stays_behind_it() -> None:
    older = make_version(0)
    disks = node()
    slots = slots_of(disks)
    update(slots, older)
    assert listed(slots) == [f"{older.name}+3.efi", f"{NOW.name}+0.efi"]
    assert boot(bytes(disks.medium.data), (*ALL, older)).version == older.name


def test_an_older_version_without_tries_left_gives_the_machine_back() -> None:
    older = make_version(0)
    tried = make_disk(
        {"usr-a": NOW, "usr-b": older}, {f"{older.name}+0-3.efi": older.uki, f"{NOW.name}+0.efi": NOW.uki}
    )
    assert boot(tried, (*ALL, older)).version == NOW.name


def test_going_back_by_hand_lasts() -> None:
    slots = slots_of(node())
    slots.choose_other()
    assert listed(slots) == [f"{BEFORE.name}.efi", f"{NOW.name}+0.efi"]
    slots.choose_other()
    assert listed(slots) == [f"{BEFORE.name}.efi", f"{NOW.name}+0.efi"]


def test_going_back_to_a_version_that_failed_gives_it_new_tries() -> None:
    slots = slots_of(with_ukis({f"{NOW.name}.efi": NOW.uki, f"{BEFORE.name}+0-3.efi": BEFORE.uki}))
    slots.choose_other()
    assert listed(slots) == [f"{BEFORE.name}+3.efi", f"{NOW.name}+0.efi"]


def test_what_ran_before_an_older_version_that_failed_is_not_tried_again_but_stays() -> None:
    older = make_version(0)
    ukis = {f"{older.name}+2-1.efi": older.uki, f"{NOW.name}+0.efi": NOW.uki}
    slots = Slots(make_disks(make_disk({"usr-a": NOW, "usr-b": older}, ukis)), root_hash=older.root_hash)
    slots.choose_other(on_trial=False)
    assert listed(slots) == [f"{NOW.name}.efi", f"{older.name}+2-1.efi"]


@pytest.mark.parametrize("counter", ["+0-1", "+0-3"])
def test_what_was_given_up_is_no_way_out_for_what_fails_after_it(counter: str) -> None:
    slots = slots_of(with_ukis({f"{NOW.name}+2-1.efi": NOW.uki, f"{BEFORE.name}{counter}.efi": BEFORE.uki}))
    before = listed(slots)
    with pytest.raises(UserError, match="was given up by the boot loader"):
        slots.choose_other(on_trial=False)
    assert listed(slots) == before


ON_TRIAL = [f"{NOW.name}+2-1.efi", f"{NOW.name}+0-3.efi"]


@pytest.mark.parametrize("own", [f"{NOW.name}.efi", *ON_TRIAL])
@pytest.mark.parametrize("other", [f"{BEFORE.name}.efi", f"{BEFORE.name}+0.efi", f"{BEFORE.name}+0-3.efi"])
def test_the_loader_never_comes_to_a_slot_that_was_found_not_whole(own: str, other: str) -> None:
    disks = with_ukis({own: NOW.uki, other: BEFORE.uki})
    slots = slots_of(disks)
    disks.medium.data[slots.layout().other.data.start] ^= 1
    with pytest.raises(UserError, match="is not complete any more") as raised:
        slots.choose_other(on_trial=False)
    assert "The root of its data is " in raised.value.details
    assert listed(slots) == [own]
    assert boot(bytes(disks.medium.data), ALL).problem == ""


@pytest.mark.parametrize("own", ON_TRIAL)
def test_the_loader_never_comes_to_a_newer_version_that_was_found_not_whole(own: str) -> None:
    """An older one was taken by name, so the newer was set back; without tries of the older it would be first again."""
    disks = make_disks(make_disk({"usr-a": NOW, "usr-b": NEXT}, {own: NOW.uki, f"{NEXT.name}+0.efi": NEXT.uki}))
    slots = slots_of(disks)
    disks.medium.data[slots.layout().other.data.start] ^= 1
    with pytest.raises(UserError, match="is not complete any more"):
        slots.choose_other(on_trial=False)
    assert listed(slots) == [own]


def test_the_loader_never_comes_to_a_version_that_is_in_no_slot() -> None:
    slots = slots_of(with_ukis({f"{NOW.name}+0-3.efi": NOW.uki, f"{NEXT.name}.efi": NEXT.uki}))
    with pytest.raises(UserError, match="is not complete any more") as raised:
        slots.choose_other()
    assert raised.value.details == "The slot has the identity of another version."
    assert listed(slots) == [f"{NOW.name}+0-3.efi"]


def test_a_hash_tree_that_does_not_say_how_much_it_covers_is_not_whole() -> None:
    disks = node()
    slots = slots_of(disks)
    start = slots.layout().other.tree.start
    disks.medium.data[start : start + 512] = bytes(512)
    with pytest.raises(UserError, match="is not complete any more"):
        slots.choose_other()


@pytest.mark.parametrize("at", [84, 4096, 4096 + 12 * 32 - 1])
def test_a_hash_tree_that_is_not_the_one_of_its_data_is_not_whole(at: int) -> None:
    """What is about the superblock, and the first and the last hash of the data."""
    disks = node()
    slots = slots_of(disks)
    disks.medium.data[slots.layout().other.tree.start + at] ^= 1
    with pytest.raises(UserError, match="is not complete any more") as raised:
        slots.choose_other()
    assert raised.value.details == "Its hash tree is not the one of its data."
    assert listed(slots) == [f"{NOW.name}.efi"]


def test_a_slot_that_cannot_be_read_is_no_verdict_on_it_and_its_version_stays() -> None:
    disks = node()
    slots = slots_of(disks)
    start = slots.layout().other.data.start
    disks.medium.failing.add(range(start + 4096, start + 4608))
    before = bytes(disks.medium.data)
    with pytest.raises(MachineError, match="cannot be read at") as raised:
        slots.choose_other()
    assert "Input/output error" in raised.value.details
    assert bytes(disks.medium.data) == before
    disks.medium.failing.clear()
    slots.choose_other()
    assert listed(slots) == [f"{BEFORE.name}.efi", f"{NOW.name}+0.efi"]


def test_there_is_no_going_back_without_another_version() -> None:
    with pytest.raises(UserError, match="no other version"):
        slots_of(with_ukis({f"{NOW.name}.efi": NOW.uki})).choose_other()


def test_a_blessed_version_has_no_tries() -> None:
    slots = slots_of(with_ukis({f"{NOW.name}+2-1.efi": NOW.uki, f"{BEFORE.name}.efi": BEFORE.uki}))
    slots.bless()
    assert listed(slots) == [f"{NOW.name}.efi", f"{BEFORE.name}.efi"]
    slots.bless()
    assert listed(slots) == [f"{NOW.name}.efi", f"{BEFORE.name}.efi"]


def test_the_version_before_stays_until_the_running_one_has_proven_itself() -> None:
    slots = slots_of(with_ukis({f"{NOW.name}+2-1.efi": NOW.uki, f"{BEFORE.name}.efi": BEFORE.uki}))
    with pytest.raises(MachineError, match="has not proven itself yet"):
        slots.clear()
    assert len(listed(slots)) == 2


def test_the_other_uki_stays_when_the_running_version_has_none() -> None:
    slots = slots_of(with_ukis({f"{BEFORE.name}.efi": BEFORE.uki}))
    with pytest.raises(MachineError, match="no UKI of the running version"):
        slots.clear()
    assert listed(slots) == [f"{BEFORE.name}.efi"]


@pytest.mark.parametrize(
    "step",
    [
        lambda slots: slots.write_usr(NEXT.release.usr, [NEXT.usr]),
        lambda slots: slots.seal(NEXT.release),
        lambda slots: slots.identify(NEXT.release),
    ],
    ids=["write", "seal", "identify"],
)
def test_nothing_is_written_while_the_loader_could_choose_the_other_slot(step: Callable[[Slots], None]) -> None:
    disks = node()
    with pytest.raises(OurError, match="may still choose"):
        step(slots_of(disks))
    assert disks.medium.events == []


def test_a_slot_that_is_in_use_is_not_written() -> None:
    disks = FakeDisks(bytes(node().medium.data), in_use=frozenset({"usr-b"}))
    slots = slots_of(disks)
    slots.clear()
    with pytest.raises(MachineError, match="usr-b cannot be opened"):
        slots.write_usr(NEXT.release.usr, [NEXT.usr])


def test_no_uki_without_the_identity_of_its_slot() -> None:
    slots = slots_of(node())
    slots.clear()
    with pytest.raises(OurError, match="has not the identity"):
        slots.install(NEXT.release, [NEXT.uki])


@pytest.mark.parametrize("starts", ["f" * 64, NOW.root_hash, BEFORE.root_hash, ""])
def test_a_uki_that_would_start_another_usr_is_never_offered_to_the_loader(starts: str) -> None:
    disks = with_ukis({f"{NOW.name}.efi": NOW.uki})
    slots = slots_of(disks)
    slots.write_usr(NEXT.release.usr, [NEXT.usr])
    slots.seal(NEXT.release)
    slots.identify(NEXT.release)
    wrong = make_uki(NEXT.name, starts)
    for _ in range(2):
        with pytest.raises(Unusable, match=f"Its UKI starts {starts or 'no /usr'}, and {NEXT.root_hash} is signed"):
            slots.install(msgspec.structs.replace(NEXT.release, uki=part_of(wrong)), [wrong])
        assert listed(slots) == [f"{NOW.name}.efi"]
    slots.install(NEXT.release, [NEXT.uki])
    assert boot(bytes(disks.medium.data), ALL).version == NEXT.name


def test_a_tree_with_another_root_is_the_publishers_fault() -> None:
    slots = slots_of(node())
    slots.clear()
    slots.write_usr(NEXT.release.usr, [NEXT.usr])
    other = msgspec.structs.replace(NEXT.release.verity, salt="00")
    with pytest.raises(Unusable, match="is not what was signed"):
        slots.seal(msgspec.structs.replace(NEXT.release, verity=other))
    assert listed(slots) == [f"{NOW.name}.efi"]


@pytest.mark.parametrize("chunks", [[], [b"other"], [NEXT.usr, NEXT.usr]], ids=["none", "wrong", "too many"])
def test_chunks_that_are_not_the_parts_are_refused(chunks: list[bytes]) -> None:
    slots = slots_of(node())
    slots.clear()
    with pytest.raises(OurError):
        slots.write_usr(NEXT.release.usr, chunks)


def test_a_part_that_does_not_fit_is_refused_before_anything_is_written() -> None:
    large = make_version(4, usr_bytes=1 << 17)
    disks = node()
    slots = slots_of(disks)
    slots.clear()
    before = bytes(disks.medium.data)
    with pytest.raises(MachineError, match="too small"):
        slots.write_usr(large.release.usr, [large.usr])
    assert bytes(disks.medium.data) == before


def test_what_is_there_need_not_be_written_again() -> None:
    slots = slots_of(node())
    slots.clear()
    assert slots.resume_point(NEXT.release.usr) == 0
    slots.write_usr(NEXT.release.usr, [NEXT.usr])
    assert slots.resume_point(NEXT.release.usr) == 1
    slots.write_usr(NEXT.release.usr, [], first=1)


def test_a_place_that_cannot_be_read_is_written_anew() -> None:
    disks = node()
    slots = slots_of(disks)
    slots.clear()
    slots.write_usr(NEXT.release.usr, [NEXT.usr])
    start = slots.layout().other.data.start
    disks.medium.failing.add(range(start + 4096, start + 4608))
    assert slots.resume_point(NEXT.release.usr) == 0


def test_a_disk_that_cannot_read_what_was_written_is_told() -> None:
    disks = node()
    slots = slots_of(disks)
    slots.clear()
    start = slots.layout().other.data.start
    disks.medium.failing.add(range(start + 4096, start + 4608))
    with pytest.raises(MachineError, match="cannot be read"):
        slots.write_usr(NEXT.release.usr, [NEXT.usr])
    assert boot(bytes(disks.medium.data), ALL).version == NOW.name


def test_a_disk_that_lies_is_told() -> None:
    disks = node()
    slots = slots_of(disks)
    slots.clear()
    disks.medium.lies = True
    with pytest.raises(MachineError, match="does not keep what is written"):
        slots.write_usr(NEXT.release.usr, [NEXT.usr])


def test_a_full_esp_leaves_the_running_version_and_no_half_file() -> None:
    large = make_version(4, uki_bytes=200_000)
    filler = b"x" * 60_000
    disks = with_ukis({f"{NOW.name}.efi": NOW.uki})
    with disks.esp(slots_of(disks).layout().esp) as esp:
        esp.create("filler")
        esp.write_at("filler", 0, filler)
        esp.sync()
    slots = slots_of(disks)
    with pytest.raises(MachineError, match="cannot be written") as raised:
        update(slots, large)
    assert "No space left" in raised.value.details
    with disks.esp(slots.layout().esp) as esp:
        assert [each.name for each in esp.files("EFI/Linux")] == [f"{NOW.name}.efi"]
    assert boot(bytes(disks.medium.data), ALL).version == NOW.name


def test_a_damaged_esp_is_not_touched() -> None:
    disks = node()
    slots = slots_of(disks)
    start = slots.layout().esp.start
    disks.medium.data[start : start + 512] = bytes(512)
    with pytest.raises(MachineError, match="The ESP is damaged"):
        slots.clear()
    assert disks.medium.events == []


def test_a_disk_without_a_slot_is_told() -> None:
    with pytest.raises(MachineError, match="partition table cannot be used"):
        slots_of(FakeDisks(bytes(1 << 20))).layout()


def test_the_running_slot_and_uki_can_be_read_for_a_delta() -> None:
    slots = slots_of(node())
    with slots.base(NOW.release.usr.size) as data:
        assert data.read_at(0, NOW.release.usr.size) == NOW.usr
    with slots.base_uki() as uki:
        assert uki.read_at(0, uki.size) == NOW.uki


def test_leftovers_are_removed() -> None:
    disks = with_ukis({f"{NOW.name}.efi": NOW.uki, "half.efi": b"\0\0" + NEXT.uki[2:900], "x.tmp": b"x"})
    slots = slots_of(disks)
    slots.clear()
    with disks.esp(slots.layout().esp) as esp:
        assert [each.name for each in esp.files("EFI/Linux")] == [f"{NOW.name}.efi"]


def test_a_second_name_for_the_same_clusters_goes_without_them() -> None:
    """What a renaming leaves when the power goes between its two halves."""
    disks = with_ukis({f"{NOW.name}.efi": NOW.uki})
    slots = slots_of(disks)
    with disks.esp(slots.layout().esp) as esp:
        esp.add_second_name(f"EFI/Linux/{NOW.name}.efi", f"{NOW.name}+2-1.efi")
    assert len(listed(slots)) == 2
    update(slots, NEXT)
    assert listed(slots) == [f"{NEXT.name}+3.efi", f"{NOW.name}.efi"]
    start = slots.layout().esp.start
    assert fallback(disks, start) == NOW.uki


def fallback(disks: FakeDisks, start: int) -> bytes:
    """What the loader would start if the new version were gone."""
    found = look(InMemory(bytes(disks.medium.data[start : start + SIZES["esp"]])))
    uki = found.volume.file(found.named(found.entries[-1].file))
    return uki.read_at(0, uki.size)


def test_blessing_ends_what_a_power_cut_left_of_it() -> None:
    disks = with_ukis({f"{NOW.name}.efi": NOW.uki, f"{NOW.name}+2-1.efi": NOW.uki, f"{BEFORE.name}.efi": BEFORE.uki})
    slots = slots_of(disks)
    slots.bless()
    assert listed(slots) == [f"{NOW.name}.efi", f"{BEFORE.name}.efi"]
