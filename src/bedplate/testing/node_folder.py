"""A node that is a folder: its files, and its disk as a file. What runs on it is the agent as the node has it.

`python -m bedplate.testing.node_folder FOLDER [WHEN]` is that agent as a process, which ends where the agent would wait
or the machine would start again, or is killed at WHEN.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from bedplate.host.clock import SystemClock
from bedplate.host.devices import SystemDevice
from bedplate.host.disks import BlockDevice
from bedplate.host.run import Completed, SystemRunner
from bedplate.model.errors import BedplateError, MachineError
from bedplate.node.__main__ import update_with
from bedplate.node.health.verdict import RECORD, Verdict
from bedplate.node.settings import DEFAULTS, ROOT
from bedplate.node.slots.esp import FOLDER as FOLDER_OF_UKIS
from bedplate.node.slots.esp import look, path_of
from bedplate.node.slots.loader import Entry, after_start
from bedplate.node.slots.rules import ESP
from bedplate.node.update.memory import Memory
from bedplate.node.update.record import FILE, FOLDER, Record
from bedplate.node.update.status import FILE as STATUS
from bedplate.testing.fat import FatEsp
from bedplate.testing.runner import FakeRunner, completed
from bedplate.testing.slots import Version, make_disk
from bedplate.wire.desired import Status
from bedplate.wire.gpt import Slice, read_disk

DISK, NODE, REBOOTING, FILLER = "disk.raw", "root", "rebooting", "filler"


class When(StrEnum):
    """An instant at which the process is killed. A state is entered when the memory that says so gets its name."""

    STATE_BEFORE = "before the second state"
    """One state was entered, the next one is not."""
    STATE_AFTER = "after the first state"
    """One state was entered, and nothing of it is done: the next write of any kind does not come about."""


class Stretch:
    """Implements `bedplate.host.disks.BlockDevice` on a part of a file; `touch` is told before each write."""

    def __init__(self, device: SystemDevice, start: int, size: int, touch: Callable[[], None]) -> None:
        self._device, self._start, self._size, self._touch = device, start, size, touch

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        return self._device.read_at(self._start + offset, max(0, min(size, self._size - offset)))

    def write_at(self, offset: int, data: bytes) -> None:
        self._touch()
        self._device.write_at(self._start + offset, data)

    def flush(self) -> None:
        self._device.flush()


@dataclass(frozen=True, slots=True)
class FileDisks:
    """Implements `bedplate.host.disks.Disks` on a file."""

    file: Path
    touch: Callable[[], None] = lambda: None

    @contextmanager
    def disk(self) -> Iterator[BlockDevice]:
        with closing(SystemDevice(self.file)) as device:
            yield Stretch(device, 0, device.size, self.touch)

    @contextmanager
    def partition(self, part: Slice, *, exclusive: bool = False) -> Iterator[BlockDevice]:
        del exclusive
        with closing(SystemDevice(self.file)) as device:
            yield Stretch(device, part.start, part.size, self.touch)

    @contextmanager
    def esp(self, part: Slice) -> Iterator[FatEsp]:
        with self.partition(part) as device:
            mounted = FatEsp(device)
            yield mounted
            mounted.unmount()


@dataclass
class FolderNode:
    """The node in `folder`, on whose disk `versions` may be found."""

    folder: Path
    versions: Mapping[str, Version]
    boots: int = 0

    @classmethod
    def install(cls, folder: Path, first: Version, *others: Version, settings: str, root: bytes) -> FolderNode:
        """A machine made of the image of `first`, which has proven itself; `root` is what it trusts releases by."""
        node = cls(folder, {each.root_hash: each for each in (first, *others)})
        folder.mkdir(parents=True)
        (folder / DISK).write_bytes(make_disk({"usr-a": first}, {f"{first.name}.efi": first.uki}))
        node.write(DEFAULTS, settings.encode())
        node.write(ROOT, root)
        node.write("etc/machine-id", b"2f1e0d3c4b5a69788796a5b4c3d2e1f0\n")
        return node

    @property
    def root(self) -> Path:
        return self.folder / NODE

    @property
    def memory(self) -> Memory:
        return Record(self.root / FOLDER).read()[0]

    @property
    def status(self) -> Status:
        return msgspec.json.decode((self.root / FOLDER / STATUS).read_bytes(), type=Status)

    @property
    def disk(self) -> bytes:
        return (self.folder / DISK).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)

    def boot(self, *, passes: bool = True) -> Version:
        """Let the loader choose and count; the version that runs then has been judged."""
        self.boots += 1
        (self.folder / REBOOTING).unlink(missing_ok=True)
        disks, esp = self._esp()
        with disks.partition(esp) as device:
            listed = look(device).entries
        _count(disks, esp, listed[0], after_start(listed)[0])
        version, boot = self.versions[listed[0].root_hash], f"boot {self.boots}"
        self.write("proc/cmdline", f"quiet usrhash={version.root_hash}\n".encode())
        self.write("proc/sys/kernel/random/boot_id", f"{boot}\n".encode())
        self.write("usr/lib/os-release", f"ID=bedplate\nIMAGE_VERSION={version.name}\n".encode())
        verdict = Verdict(version.name, boot, passes, SystemClock().now(), 1.0, () if passes else ("sick",))
        self.write(RECORD, msgspec.json.encode(verdict))
        return version

    def damage_esp(self) -> None:
        disks, esp = self._esp()
        with disks.partition(esp) as device:
            device.write_at(0, bytes(512))

    def fill_esp(self) -> None:
        """With a file of somebody else's, so that no other fits."""
        disks, esp = self._esp()
        with disks.esp(esp) as mounted, suppress(MachineError):
            mounted.create(FILLER)
            for at in range(0, esp.size, 512):
                mounted.write_at(FILLER, at, bytes(512))

    def empty_esp(self) -> None:
        disks, esp = self._esp()
        with disks.esp(esp) as mounted:
            mounted.remove(FILLER)

    def run(self, when: When | None = None) -> Ended:
        """Run the agent as a process until it ends, in whatever way."""
        argv = [sys.executable, "-m", "bedplate.testing.node_folder", str(self.folder), *([str(when)] if when else [])]
        return Ended(SystemRunner().run(argv, ok=range(-64, 256), seconds=120))

    def go_on(self, rounds: int = 8) -> None:
        """Run the agent and start again when it asks for that, until it waits."""
        for _ in range(rounds):
            self.run()
            if not (self.folder / REBOOTING).exists():
                return
            self.boot()
        raise AssertionError(f"The node does not come to rest: {self.status.doing}")

    def _esp(self) -> tuple[FileDisks, Slice]:
        disks = FileDisks(self.folder / DISK)
        with disks.disk() as disk:
            return disks, next(each for each in read_disk(disk).slices if each.label == ESP)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process ended: killed at its instant or where it would wait, or by itself with a code."""

    done: Completed

    @property
    def killed(self) -> bool:
        return self.done.code == -signal.SIGKILL

    @property
    def said(self) -> str:
        return self.done.text + self.done.stderr.decode()


@dataclass
class Killer:
    """Counts what the process does to files and disks, and ends it with SIGKILL when that is due."""

    when: str
    states: int = 0

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        """Told by the interpreter of every event (sys.addaudithook); a file is put in place by a renaming."""
        if event == "os.rename":
            self.touch()
            if str(arguments[1]).endswith(f"/{FILE}"):
                self.states += 1
                if self.when == When.STATE_BEFORE and self.states == 2:
                    die()

    def touch(self) -> None:
        if self.when == When.STATE_AFTER and self.states:
            die()


class Ending(SystemClock):
    """A clock with which nobody waits."""

    def sleep(self, seconds: float) -> None:
        if seconds:
            die()


def die() -> None:
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def _count(disks: FileDisks, esp: Slice, chosen: Entry, after: Entry) -> None:
    """What the loader does before it starts a UKI: it has one try less."""
    if chosen.file == after.file:
        return
    with disks.esp(esp) as mounted:
        size = next(each.size for each in mounted.files(FOLDER_OF_UKIS) if each.name == chosen.file)
        content = mounted.read_at(path_of(chosen.file), 0, size)
        mounted.create(path_of(after.file))
        mounted.write_at(path_of(after.file), 0, content)
        mounted.remove(path_of(chosen.file))


def main(folder: Path, when: str) -> int:
    killer = Killer(when)
    sys.addaudithook(killer.audit)

    def act(argv: tuple[str, ...]) -> Completed:
        if argv == ("systemctl", "reboot"):
            (folder / REBOOTING).touch()
            die()
        return completed(argv)

    try:
        return update_with(FileDisks(folder / DISK, killer.touch), FakeRunner(act), Ending(), folder / NODE)
    except BedplateError as problem:
        sys.stderr.write(f"{problem}\n")
        return problem.exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), "".join(sys.argv[2:])))
