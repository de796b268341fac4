"""What an image is made of, and what changed between two, read from manifests."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bedplate.cli.image_show import diff_sections, inspection_sections
from bedplate.cli.sections import as_text, size
from bedplate.host.places import Places
from bedplate.image.describe import PARTITIONS, list_partitions
from bedplate.image.diff import Difference, FileDifference, Kind, Summary, diff
from bedplate.image.inspect import Share, inspect, tenths
from bedplate.image.manifest import Executable, File, Manifest, Package, Partition, write_manifest
from bedplate.image.plan import Found, make_plan
from bedplate.image.stock import find_image
from bedplate.model.errors import OurError, UserError
from bedplate.model.plans import Action, Verb
from bedplate.testing.gpt import make_table
from bedplate.wire.gpt import Slice, writes

KUBELET = File("usr/bin/kubelet", 900, "aa" * 32, owner="kubelet")
LIBC = File("usr/lib/libc.so.6", 90, "bb" * 32, owner="libc6")
UNIT = File("usr/lib/systemd/system/kubelet.service", 10, "cc" * 32, owner="recipe")
OLD = Manifest(
    version="Bedplate-1.37-amd64-202611.24.0",
    kernel="6.12.1",
    root_hash="ab" * 32,
    certificate_sha256="cd" * 32,
    command_line="root=tmpfs quiet console=tty0 console=ttyS0 usrhash=abab",
    debug=False,
    partitions=(Partition("usr-a", 2000, 1000),),
    packages=(Package("libc6", "2.41-1", 90),),
    executables=(
        Executable("usr/bin/kubelet", "the node's agent", 900),
        Executable("usr/lib/systemd/systemd", "PID 1", 0, "x"),
    ),
    units={"multi-user.target": ("kubelet.service",)},
    files=(KUBELET, LIBC, UNIT, File("usr/lib/systemd/systemd", 0, target="x", owner="systemd")),
)


def changed(**fields: Any) -> Manifest:
    return msgspec.structs.replace(OLD, **fields)


def test_programs_are_counted_on_path_and_in_all() -> None:
    found = inspect(OLD, folder="f", uki="valid")
    assert (found.on_path, found.programs, found.files, found.size) == (1, 2, 4, 1000)


def test_owners_are_told_by_size() -> None:
    owners = inspect(OLD, folder="f", uki="valid").owners
    assert list(owners.items()) == [("kubelet", 900), ("libc6", 90), ("recipe", 10), ("systemd", 0)]


def test_tenths_lay_the_owners_end_to_end() -> None:
    found = tenths({"a": 15, "b": 4, "c": 1})
    assert [tenth.shares for tenth in found[6:]] == [
        (Share("a", 2),),
        (Share("a", 1), Share("b", 1)),
        (Share("b", 2),),
        (Share("b", 1), Share("c", 1)),
    ]


def test_tenths_have_all_bytes_between_them() -> None:
    found = tenths({"a": 15, "b": 4, "c": 4})
    assert sum(share.size for tenth in found for share in tenth.shares) == 23


def test_an_image_of_nothing_has_empty_tenths() -> None:
    assert {tenth.shares for tenth in tenths({})} == {()}


def test_two_alike_images_differ_in_nothing() -> None:
    found = diff(OLD, OLD)
    assert found.summary == Summary(same=True, packages=0, files=0, files_alike=4, rewritten=0, grown=0)
    assert (found.facts, found.packages, found.files) == ((), (), ())


def test_a_package_is_added_removed_or_changed_with_its_bytes() -> None:
    new = changed(packages=(Package("libc6", "2.41-2", 95), Package("zlib1g", "1", 7)))
    assert diff(OLD, new).packages == (
        Difference("libc6", Kind.CHANGED, "2.41-1", "2.41-2", 5),
        Difference("zlib1g", Kind.ADDED, "", "1", 7),
    )
    assert diff(new, OLD).packages[1] == Difference("zlib1g", Kind.REMOVED, "1", "", -7)


def test_a_file_differs_by_content_and_not_by_size() -> None:
    new = changed(files=(KUBELET, msgspec.structs.replace(LIBC, sha256="dd" * 32), UNIT, OLD.files[3]))
    found = diff(OLD, new)
    assert found.files == (FileDifference("usr/lib/libc.so.6", Kind.CHANGED, "libc6", 90, 90),)
    assert found.summary == Summary(same=False, packages=0, files=1, files_alike=3, rewritten=90, grown=0)


def test_a_link_that_leads_elsewhere_is_a_change() -> None:
    new = changed(files=(*OLD.files[:3], msgspec.structs.replace(OLD.files[3], target="y")))
    assert [(each.path, each.kind) for each in diff(OLD, new).files] == [("usr/lib/systemd/systemd", Kind.CHANGED)]
    assert [(each.old, each.new) for each in diff(OLD, new).executables] == [("-> x", "-> y")]


def test_a_file_that_went_away_is_counted_but_not_written() -> None:
    found = diff(OLD, changed(files=(KUBELET, UNIT, OLD.files[3])))
    assert found.files == (FileDifference("usr/lib/libc.so.6", Kind.REMOVED, "libc6", 90, 0),)
    assert found.summary == Summary(same=False, packages=0, files=1, files_alike=3, rewritten=0, grown=-90)


def test_words_of_the_command_line_are_compared_by_name() -> None:
    new = changed(command_line="root=tmpfs console=tty0 audit=0 usrhash=cdcd")
    assert diff(OLD, new).command_line == (
        Difference("audit", Kind.ADDED, "", "0"),
        Difference("console", Kind.CHANGED, "tty0 ttyS0", "tty0"),
        Difference("quiet", Kind.REMOVED),
    )


def test_facts_units_and_partitions_are_compared() -> None:
    new = changed(
        kernel="6.12.2", units={"basic.target": ("kubelet.service",)}, partitions=(Partition("usr-a", 2000, 1001),)
    )
    found = diff(OLD, new)
    assert found.facts == (Difference("kernel", Kind.CHANGED, "6.12.1", "6.12.2"),)
    assert [(each.name, each.kind) for each in found.units] == [
        ("basic.target kubelet.service", Kind.ADDED),
        ("multi-user.target kubelet.service", Kind.REMOVED),
    ]
    assert [each.name for each in found.partitions] == ["usr-a"]


def test_an_inspection_reads_well_at_80_columns() -> None:
    reason = "a reason of so many words that no line of any terminal would ever hold all of them at once"
    long = changed(executables=(Executable("usr/lib/systemd/system-generators/some-generator", reason, 1),))
    text = as_text(inspection_sections(inspect(long, folder="f", uki="valid")), 80)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "uki.efi      valid" in text


def test_a_development_image_is_called_one() -> None:
    assert "DEBUG" in as_text(inspection_sections(inspect(changed(debug=True), folder="f", uki="valid")))


def test_a_difference_is_told_with_its_sign() -> None:
    text = as_text(diff_sections(diff(OLD, changed(packages=(Package("libc6", "2.41-2", 1090),)))))
    assert "~  libc6  +1.0 kB  2.41-1 -> 2.41-2" in text


def test_alike_images_are_said_to_be_alike() -> None:
    assert as_text(diff_sections(diff(OLD, OLD))).split("\n")[1] == "  The two images hold the same."


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (-276_300_000, "-276.3 MB"), (10**13, "10000.0 GB")],
)
def test_sizes_are_told_in_steps_of_a_thousand(count: int, text: str) -> None:
    assert size(count) == text


MIB = 1 << 20


def disk_with(folder: Path, *labels: str) -> Path:
    """A disk with partitions of a MiB each, and beside it what is written into those that are expected."""
    slices = [Slice(label, uuid.UUID(int=at), at * MIB, MIB) for at, label in enumerate(labels, start=1)]
    disk = bytearray(8 * MIB)
    for write in (write for copy in writes(make_table(slices), len(disk)) for write in copy):
        disk[write.offset : write.offset + len(write.data)] = write.data
    (folder / "disk.raw").write_bytes(disk)
    for count, name in enumerate(PARTITIONS.values(), start=1):
        (folder / name).write_bytes(bytes(count))
    return folder


def test_partitions_are_those_of_the_disk(tmp_path: Path) -> None:
    found = list_partitions(disk_with(tmp_path, "esp", "usr-a", "usr-a-verity", "usr-a-verity-sig"))
    assert [(each.label, each.size, each.used) for each in found] == [
        ("esp", 1 << 20, 1),
        ("usr-a", 1 << 20, 2),
        ("usr-a-verity", 1 << 20, 3),
        ("usr-a-verity-sig", 1 << 20, 4),
    ]


@pytest.mark.parametrize("labels", [(), ("esp", "usr-a-verity", "usr-a", "usr-a-verity-sig"), ("esp", "a", "b", "c")])
def test_a_disk_with_other_partitions_is_not_taken_for_the_one_expected(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    with pytest.raises(OurError, match="not partitioned as it should be"):
        list_partitions(disk_with(tmp_path, *labels))


def stock(folder: Path) -> Places:
    for name, manifest in (("one", OLD), ("two", changed(version="Bedplate-1.37-amd64-202611.25.0"))):
        write_manifest(folder / "images" / name, manifest)
    (folder / "images/broken").mkdir()
    (folder / "images/broken/manifest.json").write_text("{}")
    return Places(cache=folder, state=folder)


@pytest.mark.parametrize("wanted", ["Bedplate-1.37-amd64-202611.24.0", "one"], ids=["version", "name"])
def test_an_image_is_found_by_what_it_is_called(tmp_path: Path, wanted: str) -> None:
    assert find_image(wanted, stock(tmp_path)) == tmp_path / "images/one"


def test_an_image_is_found_by_its_folder(tmp_path: Path) -> None:
    places = stock(tmp_path)
    assert find_image(str(tmp_path / "images/two"), places) == tmp_path / "images/two"


def test_an_unknown_image_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image three") as caught:
        find_image("three", stock(tmp_path))
    assert str(tmp_path / "images/one") in caught.value.details


def test_without_any_image_the_way_to_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image here yet") as caught:
        find_image(None, Places(tmp_path, tmp_path))
    assert "bedplate image build" in caught.value.resolution


def test_a_plan_runs_nothing_where_all_is_there() -> None:
    assert make_plan(Found(tools=True, packages=True, agent=True, programs=True, image=True), debug=False) == (
        Action("Build tools", Verb.SKIP, "os/tools.lock is in the cache"),
        Action("Debian packages", Verb.SKIP, "os/packages.lock is in the cache"),
        Action("Agent", Verb.SKIP, "unchanged"),
        Action("Image", Verb.SKIP, "unchanged"),
    )


def test_a_plan_names_what_an_image_waits_for() -> None:
    plan = make_plan(Found(tools=True, packages=False, agent=False, programs=False, image=False), debug=True)
    assert [(each.name, each.verb, each.reason) for each in plan] == [
        ("Build tools", Verb.SKIP, "os/tools.lock is in the cache"),
        ("Debian packages", Verb.RUN, "os/packages.lock is not in the cache"),
        ("Agent", Verb.RUN, "its sources, uv.lock or the build tools changed"),
        ("Image with a console", Verb.RUN, "to be made first: packages, agent, programs"),
    ]


def test_a_plan_for_a_changed_recipe_makes_the_image_alone() -> None:
    plan = make_plan(Found(tools=True, packages=True, agent=True, programs=True, image=False), debug=False)
    assert [each.verb for each in plan] == [Verb.SKIP, Verb.SKIP, Verb.SKIP, Verb.RUN]
