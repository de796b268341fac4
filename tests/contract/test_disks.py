"""Block devices and ESPs: the real doors and the fakes behave alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from bedplate.host.devices import SystemDevice, _size_of
from bedplate.host.disks import BlockDevice, Esp, SystemDisks, SystemEsp
from bedplate.host.run import SystemRunner
from bedplate.model.errors import MachineError
from bedplate.model.reading import InMemory
from bedplate.testing.disks import FakeDevice, Medium
from bedplate.testing.fat import FatEsp, make_volume
from bedplate.testing.runner import FakeRunner
from bedplate.testing.slots import SIZES, make_disk, make_version
from bedplate.wire.fat import read_volume
from bedplate.wire.fat_space import lost_clusters, writes_to_free
from bedplate.wire.gpt import Slice, read_disk

SIZE = 1 << 20
RUNNER = SystemRunner()


@pytest.fixture(params=["real", "fake"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlockDevice]:
    """A device of SIZE zeros; a regular file stands for the real one."""
    if request.param == "fake":
        yield FakeDevice(Medium(bytearray(SIZE)), 0, SIZE)
        return
    (tmp_path / "disk").write_bytes(bytes(SIZE))
    with closing(SystemDevice(tmp_path / "disk")) as real:
        yield real


def test_a_device_knows_its_size(device: BlockDevice) -> None:
    assert device.size == SIZE


@pytest.mark.parametrize(("offset", "size"), [(0, 512), (511, 3), (4095, 4097), (SIZE - 10, 10), (3, 9000)])
def test_what_is_written_is_read_at_any_place(device: BlockDevice, offset: int, size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    device.write_at(offset, data)
    device.flush()
    assert device.read_at(offset, size) == data
    assert device.read_at(0, SIZE).strip(b"\0") == data.strip(b"\0")


def test_reading_ends_where_the_device_does(device: BlockDevice) -> None:
    assert device.read_at(SIZE - 3, 100) == bytes(3)
    assert device.read_at(SIZE + 3, 100) == b""


def test_nothing_is_written_beyond_the_end(device: BlockDevice) -> None:
    with pytest.raises(MachineError, match=f"ends at {SIZE}"):
        device.write_at(SIZE - 1, b"xx")
    assert device.read_at(0, SIZE) == bytes(SIZE)


def test_pieces_larger_than_the_buffer_are_read_whole(tmp_path: Path) -> None:
    data = bytes(n % 253 for n in range(9 << 20))
    (tmp_path / "disk").write_bytes(data)
    with closing(SystemDevice(tmp_path / "disk")) as real:
        assert real.read_at(5, len(data)) == data[5:]


def test_a_device_that_is_not_there_is_an_error_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="none cannot be opened"):
        SystemDevice(tmp_path / "none")


def test_a_device_that_can_be_opened_only_by_half_is_not_held() -> None:
    """Held, it would be in use for whoever wants it for itself."""
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(MachineError, match="null cannot be opened"):
        SystemDevice(Path("/dev/null"))
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_device_that_does_not_tell_its_size_is_not_an_empty_one() -> None:
    opened = os.open("/dev/zero", os.O_RDONLY)
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        _size_of(opened)
    os.close(opened)


@pytest.fixture(params=["real", "fake"])
def esp(request: pytest.FixtureRequest, tmp_path: Path) -> Esp:
    """An ESP with loader.conf and an empty EFI/Linux; a folder stands for the mounted one."""
    if request.param == "fake":
        volume = make_volume(1 << 18, {"loader/loader.conf": b"timeout 0\n", "EFI/Linux/old.efi": b"old"})
        return FatEsp(FakeDevice(Medium(bytearray(volume)), 0, len(volume)))
    for name, content in (("loader/loader.conf", b"timeout 0\n"), ("EFI/Linux/old.efi", b"old")):
        (tmp_path / "esp" / name).parent.mkdir(parents=True)
        (tmp_path / "esp" / name).write_bytes(content)
    (tmp_path / "device").touch()
    return SystemEsp(tmp_path / "esp", tmp_path / "device")


def test_files_are_listed_with_their_sizes(esp: Esp) -> None:
    assert [(each.name, each.size) for each in esp.files("EFI/Linux")] == [("old.efi", 3)]
    assert list(esp.files("EFI/none")) == []


def test_a_file_grows_and_is_changed_in_place(esp: Esp) -> None:
    path = "EFI/Linux/Bedplate-1.37-amd64-202611.24.0+3.efi"
    esp.create(path)
    esp.write_at(path, 0, b"\0\0" + b"a" * 2998)
    esp.sync()
    esp.write_at(path, 3000, b"b" * 5000)
    esp.write_at(path, 0, b"MZ")
    esp.sync()
    assert esp.read_at(path, 0, 9999) == b"MZ" + b"a" * 2998 + b"b" * 5000
    assert esp.read_at(path, 2999, 2) == b"ab"


def test_what_is_removed_is_gone(esp: Esp) -> None:
    esp.remove("EFI/Linux/old.efi")
    esp.sync()
    assert list(esp.files("EFI/Linux")) == []
    with pytest.raises(MachineError):
        esp.read_at("EFI/Linux/old.efi", 0, 3)


def test_a_file_that_is_there_is_not_created(esp: Esp) -> None:
    with pytest.raises(MachineError, match="cannot be created"):
        esp.create("EFI/Linux/old.efi")
    assert esp.read_at("EFI/Linux/old.efi", 0, 3) == b"old"


@pytest.mark.parametrize("sector", [512, 4096])
def test_fsck_finds_nothing_wrong_with_what_the_fake_wrote(sector: int, tmp_path: Path) -> None:
    volume = make_volume(64 * sector * 8, {"EFI/Linux/a long name of a file+3.efi": b"x" * 9000}, sector=sector)
    medium = Medium(bytearray(volume))
    fake = FatEsp(FakeDevice(medium, 0, len(volume)))
    for n in range(9):
        fake.create(f"EFI/Linux/another file with a long name {n}.efi")
        fake.write_at(f"EFI/Linux/another file with a long name {n}.efi", 0, b"y" * 700)
    fake.remove("EFI/Linux/a long name of a file+3.efi")
    fake.unmount()
    (tmp_path / "volume").write_bytes(medium.data)
    done = RUNNER.run(["fsck.vfat", "-n", tmp_path / "volume"], ok=(0, 1))
    assert done.code == 0, done.text


@pytest.mark.parametrize("sector", [512, 4096])
def test_fsck_agrees_on_what_is_lost_and_finds_nothing_once_it_is_given_back(sector: int, tmp_path: Path) -> None:
    volume = make_volume(64 * sector * 8, {"EFI/Linux/a long name+3.efi": b"x" * 9000}, sector=sector)
    medium = Medium(bytearray(volume))
    device = FakeDevice(medium, 0, len(volume))
    fake = FatEsp(device)
    fake.lose(3)
    fake.unmount()
    (tmp_path / "volume").write_bytes(medium.data)
    told = RUNNER.run(["fsck.vfat", "-n", tmp_path / "volume"], ok=(0, 1)).text
    assert f"Reclaimed 3 unused clusters ({3 * sector} bytes)" in told
    found = read_volume(InMemory(bytes(medium.data)))
    lost = lost_clusters(found)
    assert len(lost) == 3
    for each in writes_to_free(found, lost):
        device.write_at(each.offset, each.data)
    (tmp_path / "volume").write_bytes(medium.data)
    done = RUNNER.run(["fsck.vfat", "-n", tmp_path / "volume"], ok=(0, 1))
    assert "Reclaimed" not in done.text
    assert "differ" not in done.text


def test_the_fat_reader_sees_what_mtools_wrote(tmp_path: Path) -> None:
    volume, content = tmp_path / "volume", tmp_path / "content"
    content.write_bytes(bytes(n % 249 for n in range(70_000)))
    RUNNER.run(["mkfs.vfat", "-C", "-F", "32", volume, "40000"])
    name = "Bedplate-1.37-amd64-202611.24.0+3.efi"
    for argv in (["mmd", "::/EFI", "::/EFI/Linux"], ["mcopy", content, f"::/EFI/Linux/{name}"]):
        RUNNER.run([argv[0], "-i", volume, *argv[1:]])
    found = read_volume(InMemory(volume.read_bytes()))
    (file,) = found.folder("EFI/Linux")
    assert (file.name, file.size) == (name, 70_000)
    assert found.file(file).read_at(0, 99_999) == content.read_bytes()
    assert found.file(file).read_at(1000, 5000) == content.read_bytes()[1000:6000]


@contextmanager
def sysfs(tmp_path: Path, disk: bytes) -> Iterator[Path]:
    """What sysfs and devtmpfs have of a disk vda whose second and third partition /usr is checked from."""
    block, devices = tmp_path / "sys/class/block", tmp_path / "sys/devices/vda"
    block.mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/vda").write_bytes(disk)
    for number, part in enumerate(read_disk(InMemory(disk)).slices, start=1):
        folder = devices / f"vda{number}"
        folder.mkdir(parents=True)
        (folder / "start").write_text(f"{part.start // 512}\n")
        (folder / "size").write_text(f"{part.size // 512}\n")
        (block / folder.name).symlink_to(folder)
        (tmp_path / "dev" / folder.name).write_bytes(disk[part.start : part.start + part.size])
    (block / "vda").symlink_to(devices)
    dm = block / "dm-0"
    (dm / "dm").mkdir(parents=True)
    (dm / "dm/name").write_text("usr\n")
    for slave in ("vda2", "vda3"):
        (dm / "slaves" / slave).mkdir(parents=True)
    yield tmp_path


NOW = make_version(2)
USR_A = read_disk(InMemory(make_disk({"usr-a": NOW}, {}))).slices[1]


def system(root: Path, runner: FakeRunner | None = None) -> SystemDisks:
    return SystemDisks(runner or FakeRunner(), mount=root / "mount", sys=root / "sys", dev=root / "dev")


def test_the_disk_is_the_one_that_usr_is_checked_from(tmp_path: Path) -> None:
    with sysfs(tmp_path, make_disk({"usr-a": NOW}, {})) as root, system(root).disk() as disk:
        assert [each.label for each in read_disk(disk).slices] == list(SIZES)


def test_a_partition_is_found_by_its_place(tmp_path: Path) -> None:
    with sysfs(tmp_path, make_disk({"usr-a": NOW}, {})) as root, system(root).partition(USR_A) as device:
        assert device.read_at(0, len(NOW.usr)) == NOW.usr


def test_a_partition_that_the_kernel_does_not_know_is_told(tmp_path: Path) -> None:
    other = Slice("usr-c", USR_A.identity, 512, 512)
    with sysfs(tmp_path, make_disk({}, {})) as root, pytest.raises(MachineError, match="no device for the partition"):
        enter(system(root).partition(other))


def test_a_machine_without_usr_on_verity_is_told(tmp_path: Path) -> None:
    (tmp_path / "sys/class/block").mkdir(parents=True)
    with pytest.raises(MachineError, match="The disk of /usr cannot be found"):
        enter(system(tmp_path).disk())


def test_the_esp_is_mounted_for_as_long_as_it_is_used(tmp_path: Path) -> None:
    runner = FakeRunner()
    with sysfs(tmp_path, make_disk({}, {})) as root:
        esp = read_disk(InMemory((root / "dev/vda").read_bytes())).slices[0]
        with system(root, runner).esp(esp):
            assert [each[0] for each in runner.commands] == ["mount"]
        assert [each[0] for each in runner.commands] == ["mount", "umount"]
        assert runner.commands[0][-2:] == (str(root / "dev/vda1"), str(root / "mount"))


def enter(block: AbstractContextManager[BlockDevice]) -> None:
    with block:
        pass
