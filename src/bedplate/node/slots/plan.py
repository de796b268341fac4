"""The steps of an update on the disk, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from bedplate.model.plans import Action, Verb
from bedplate.node.slots.loader import Entry


class Step(Enum):
    """In the order in which they are taken; the value of each is the name of the method that takes it."""

    CLEAR = "clear"
    WRITE = "write_usr"
    SEAL = "seal"
    IDENTIFY = "identify"
    INSTALL = "install"


@dataclass(frozen=True, slots=True)
class Planned:
    """A step and what to tell of it; `first` is the chunk at which writing goes on."""

    step: Step
    action: Action
    first: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the disk holds. `entries` in the loader's order; `there` of `chunks` are in the other slot, from the first.

    `running` is the root hash of what runs; `leftovers` are files in EFI/Linux that the loader passes over.
    """

    slot: str
    running: str
    entries: tuple[Entry, ...]
    leftovers: tuple[str, ...]
    there: int
    chunks: int
    identified: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the node is to become."""

    version: str
    root_hash: str


def make_plan(facts: Facts, wanted: Wanted) -> tuple[Planned, ...]:
    """All steps in their order; none runs when the loader would choose what is wanted, and that is complete."""
    first = facts.entries[0] if facts.entries else None
    installed = first if first and first.root_hash == wanted.root_hash else None
    if wanted.root_hash == facts.running:
        return _nothing(f"{wanted.version} is what runs")
    if installed and facts.identified and facts.there == facts.chunks and installed.left != 0:
        return _nothing(f"{wanted.version} is complete in {facts.slot}, and the ESP has it as {installed.file}")
    return tuple(_steps(facts, wanted))


def _steps(facts: Facts, wanted: Wanted) -> Iterator[Planned]:
    others = [each.file for each in facts.entries if each.root_hash != facts.running]
    if others:
        why = f"nothing may boot from {facts.slot} while it is written"
        yield _planned(Step.CLEAR, f"Remove {', '.join(others)} from the ESP", why)
    elif facts.leftovers:
        why = "they are of an update that was cut short"
        yield _planned(Step.CLEAR, f"Remove {', '.join(facts.leftovers)} from the ESP", why)
    else:
        yield _planned(Step.CLEAR, "Clear the ESP", "it has no version but the running one", runs=False)
    if facts.there == facts.chunks:
        yield _planned(Step.WRITE, f"Write {wanted.version} into {facts.slot}", "all of it is there", runs=False)
    else:
        why = f"{facts.there} of {facts.chunks} chunks are there"
        yield _planned(Step.WRITE, f"Write {wanted.version} into {facts.slot}", why, first=facts.there)
    yield _planned(Step.SEAL, f"Make the hash tree of {facts.slot}", "its root is compared with the signed one")
    if facts.identified:
        yield _planned(Step.IDENTIFY, f"Give {facts.slot} its identity", "it has it", runs=False)
    else:
        yield _planned(Step.IDENTIFY, f"Give {facts.slot} its identity", "the initrd finds /usr by its root hash")
    yield _planned(Step.INSTALL, f"Write the UKI of {wanted.version}", "from here the loader tries it")


def _nothing(why: str) -> tuple[Planned, ...]:
    return tuple(_planned(step, step.value.replace("_", " ").capitalize(), why, runs=False) for step in Step)


def _planned(step: Step, name: str, reason: str, *, runs: bool = True, first: int = 0) -> Planned:
    return Planned(step, Action(name, Verb.RUN if runs else Verb.SKIP, reason), first)
