"""The facts that preflight judges are the machine's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bedplate.host.machine import Machine, SystemMachine, largest_range
from bedplate.host.places import Places
from bedplate.host.run import Completed
from bedplate.local.machines.kvm import choose_acceleration
from bedplate.local.machines.qemu import Accelerator
from bedplate.local.preflight.facts import gather
from bedplate.local.preflight.rules import Facts, require_ready
from bedplate.model.errors import MachineError
from bedplate.testing.machine import FakeMachine
from bedplate.testing.runner import FakeRunner, completed

PLACES = Places(cache=Path("/cache"), state=Path("/state"))


def facts(machine: Machine, runner: FakeRunner | None = None) -> Facts:
    return gather(machine, runner or FakeRunner(), PLACES, kvm=True, ports=(6443, 5000))


class Stuck(FakeRunner):
    """Programs that never end, so that each takes as long as it may; one that may take for ever is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0

    def run(self, argv: Sequence[str | Path], *, seconds: float | None = None, **options: object) -> Completed:
        del options
        assert seconds is not None, argv
        self.waited += seconds
        raise MachineError(f"{argv[0]} did not end within {seconds:g} s.")


def test_a_machine_on_which_nothing_ends_is_judged_within_five_seconds(tmp_path: Path) -> None:
    stuck = Stuck()
    device = tmp_path / "kvm"
    device.touch()
    assert choose_acceleration(stuck, device=device).kind is Accelerator.TCG
    assert facts(FakeMachine(), stuck).namespaces == "unshare did not end within 1.5 s"
    assert 0 < stuck.waited <= 4.5


def test_a_sound_machine_is_found_ready() -> None:
    require_ready(facts(FakeMachine()))


def test_missing_programs_are_named() -> None:
    assert facts(FakeMachine(absent={"dnsmasq"})).missing == ("dnsmasq",)


def test_only_an_ordinary_user_needs_the_programs_that_map_ids() -> None:
    assert facts(FakeMachine(absent={"newuidmap"})).missing == ("newuidmap",)
    assert facts(FakeMachine(absent={"newuidmap"}, root=True)).missing == ()


def test_a_machine_on_which_an_image_was_built_is_known_by_it(tmp_path: Path) -> None:
    places = Places(cache=tmp_path / "cache", state=tmp_path / "state")
    assert not gather(FakeMachine(), FakeRunner(), places, kvm=True).built
    manifest = places.cache / "images/one/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.touch()
    assert gather(FakeMachine(), FakeRunner(), places, kvm=True).built


def test_a_namespace_is_really_tried_and_the_kernels_answer_kept() -> None:
    said = b"unshare: unshare failed: Operation not permitted\n"
    runner = FakeRunner(lambda argv: completed(argv, code=int(argv[0] == "unshare"), stderr=said))
    assert facts(FakeMachine(), runner).namespaces == "unshare: unshare failed: Operation not permitted"


def test_taken_ports_are_named_in_order() -> None:
    assert facts(FakeMachine(taken={6443, 5000, 80})).ports_taken == (5000, 6443)


def test_the_real_machine_answers_every_question(tmp_path: Path) -> None:
    machine: Machine = SystemMachine()
    assert machine.cores() >= 1
    assert machine.available_memory() > 0
    assert machine.free_space(tmp_path / "not" / "there" / "yet") > 0
    assert machine.program("sh")
    assert not machine.program("no-such-program")
    assert not machine.opens(tmp_path / "no-such-device")


def test_ranges_of_ids_are_read_for_the_right_owner() -> None:
    lines = ["ann:100000:65536", "bob:1:2", "1000:3:70000", "broken", "ann:x:y"]
    assert largest_range(lines, owners={"ann"}) == 65536
    assert largest_range(lines, owners={"ann", "1000"}) == 70000
    assert largest_range(lines, owners={"eve"}) == 0
