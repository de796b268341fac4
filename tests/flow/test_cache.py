"""The cache is looked through as it is, and what goes is gone at once or not at all."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from bedplate.host.locks import alone
from bedplate.host.processes import files_in_use
from bedplate.host.run import SystemRunner
from bedplate.image.cache.plan import Entry, Facts, Kind, make_plan
from bedplate.image.cache.remove import locks_of, made_now, nobody_makes, remove
from bedplate.image.cache.survey import GONE, made_at, survey, used_by
from bedplate.local.leaning import backing_file, leaning
from bedplate.local.machines import qemu
from bedplate.model.errors import MachineError, OurError
from bedplate.testing.clock import START
from bedplate.testing.report import RecordedReport


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with two images, one component built twice, downloads, a venv and something unknown."""
    cache = tmp_path / "cache"
    for number, name in enumerate(
        ["images/old", "images/new", "components/etcd/one", "components/etcd/two", "go/mod/e.dev", "tools/.t.x1"]
    ):
        (cache / name).mkdir(parents=True)
        (cache / name / "file").write_bytes(bytes(10_000))
        os.utime(cache / name, (number, number))
    for name in ("downloads/debs/a.deb", "downloads/debs/b.deb", "future/file", "locks/image"):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(bytes(10_000))
        os.utime(cache / name, (0, 0))
    return cache


def survey_all(cache: Path, *wanted: str) -> dict[str, Entry]:
    found = survey(cache, frozenset(cache / name for name in wanted), list(Kind))
    return {entry.name: entry for entry in found}


def make_venv(cache: Path, checkout: Path) -> None:
    folder = cache / "venvs/v/lib/python3.13/site-packages/bedplate-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "direct_url.json").write_text(json.dumps({"url": checkout.as_uri(), "dir_info": {"editable": True}}))


def test_everything_in_the_cache_is_found_but_its_locks(cache: Path) -> None:
    assert survey_all(cache, "downloads/debs/a.deb").keys() == {
        *("images/old", "images/new", "components/etcd/one", "components/etcd/two", "go/mod", "tools/.t.x1"),
        *("downloads/debs, locked", "downloads/debs, not locked", "future"),
    }


def test_kinds_that_are_not_asked_for_are_not_looked_at(cache: Path) -> None:
    assert {entry.kind for entry in survey(cache, frozenset(), [Kind.IMAGES])} == {Kind.IMAGES}


def test_what_vanishes_while_we_look_is_passed_over(cache: Path) -> None:
    assert (used_by(cache / "absent"), made_at(cache / "absent")) == (0, GONE)
    assert not [entry for entry in survey_all(cache).values() if entry.made == GONE]


def test_what_a_link_leads_to_is_somebody_elses(cache: Path, tmp_path: Path) -> None:
    (cache / "tools").rename(tmp_path / "tools")
    (cache / "tools").symlink_to(tmp_path / "tools")
    assert "tools/.t.x1" not in survey_all(cache)


@pytest.mark.parametrize(("there", "lost"), [(True, ""), (False, "is gone")])
def test_a_venv_tells_whose_it_is(cache: Path, tmp_path: Path, *, there: bool, lost: str) -> None:
    checkout = tmp_path / "a checkout"
    if there:
        checkout.mkdir()
    make_venv(cache, checkout)
    venv = survey_all(cache)["venvs/v"]
    assert (venv.about, venv.lost) == (str(checkout), f"{checkout} {lost}" if lost else "")


def test_a_hole_takes_no_space_and_a_second_name_no_more(tmp_path: Path) -> None:
    with (tmp_path / "disk.raw").open("wb") as disk:
        disk.truncate(1 << 30)
    empty = used_by(tmp_path)
    (tmp_path / "file").write_bytes(bytes(1 << 16))
    once = used_by(tmp_path)
    (tmp_path / "again").hardlink_to(tmp_path / "file")
    assert empty < 1 << 16 <= once == used_by(tmp_path)


def test_what_is_to_go_is_gone_and_nothing_else(cache: Path) -> None:
    entries = survey_all(cache, "downloads/debs/a.deb")
    facts = Facts(START, wanted=frozenset({cache / "downloads/debs/a.deb"}))
    plan = make_plan(list(entries.values()), facts)
    going = {verdict.entry.name for verdict in plan if not verdict.stays}
    report = RecordedReport()
    remove(plan, report)
    gone = {"images/old", "components/etcd/one", "downloads/debs, not locked", "tools/.t.x1"}
    assert going == gone
    assert report.outcomes() == {f"Remove {name}": "done" for name in gone}
    assert survey_all(cache, "downloads/debs/a.deb").keys() == entries.keys() - gone
    assert not (cache / "downloads/debs/b.deb").exists()


def test_a_folder_that_is_closed_against_writing_goes_too(tmp_path: Path) -> None:
    """As somebody who is not root: root is not kept out by modes."""
    home = tmp_path / "home"
    (home / "mod/a/b").mkdir(parents=True)
    (home / "mod/a/b/file").touch(mode=0o400)
    for folder in (home / "mod/a/b", home / "mod/a"):
        folder.chmod(0o500)
    script = "import sys; from pathlib import Path; from bedplate.host.files import discard; discard(Path(sys.argv[1]))"
    without_rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    SystemRunner().run([*without_rights, sys.executable, "-c", script, home / "mod"])
    assert list(home.iterdir()) == []


@pytest.fixture
def home(cache: Path, tmp_path: Path) -> Path:
    """What the commands take for the user's home: the cache above, and no clusters."""
    (tmp_path / "caches").mkdir()
    cache.rename(tmp_path / "caches/bedplate")
    return tmp_path


def bedplate(home: Path, *arguments: str) -> list[dict[str, object]]:
    argv = [sys.executable, "-m", "bedplate.cli", "cache", *arguments, "--output=json"]
    env = {"XDG_CACHE_HOME": str(home / "caches"), "XDG_STATE_HOME": str(home / "state")}
    rows: list[dict[str, object]] = json.loads(SystemRunner().run(argv, env=env, seconds=60).stdout)
    return rows


def test_what_a_dry_run_tells_is_what_is_removed(home: Path) -> None:
    told = bedplate(home, "prune", "images", "--dry-run")
    assert [(row["name"], row["why"]) for row in told] == [("images/old", "nothing here needs it")]
    assert bedplate(home, "prune", "images") == told
    assert [row["name"] for row in bedplate(home, "list", "images")] == ["images/new"]


def test_a_command_that_is_at_work_in_the_cache_keeps_what_it_is_at(home: Path) -> None:
    with alone(home / "caches/bedplate/locks/image", doing="building an image"):
        assert bedplate(home, "prune", "images", "--all") == []


def test_a_removal_that_was_cut_short_is_ended_by_the_next(cache: Path) -> None:
    (cache / "images/old").rename(cache / "images/.old.gone")
    entries = survey_all(cache)
    assert entries["images/.old.gone"].unfinished
    remove(make_plan(list(entries.values()), Facts(START)), RecordedReport())
    assert [path.name for path in (cache / "images").iterdir()] == ["new"]


def test_while_an_image_is_built_nothing_of_it_goes(cache: Path) -> None:
    locks = locks_of(cache, [])
    with alone(cache / "locks/image", doing="building an image"):
        seen = made_now(locks)
        with nobody_makes(locks) as busy:
            held = dict(busy)
    assert seen == held
    assert seen[Kind.IMAGES] == f"Process {os.getpid()} (building an image) is in the way."
    assert seen.keys() == {Kind.IMAGES, Kind.TOOLS, Kind.PACKAGES, Kind.AGENT, Kind.DOWNLOADS}


def test_while_a_cluster_is_changed_nothing_goes_at_all(cache: Path, tmp_path: Path) -> None:
    lock = tmp_path / "clusters/local.lock"
    with alone(lock, doing="bringing up the cluster"):
        assert made_now(locks_of(cache, [lock])).keys() == set(Kind)


def test_nobody_can_build_while_things_go(cache: Path) -> None:
    locks = locks_of(cache, [])
    with nobody_makes(locks) as busy:
        assert not busy
        assert made_now(locks).keys() >= {Kind.IMAGES, Kind.COMPONENTS, Kind.GO, Kind.TOOLCHAINS}
    assert not made_now(locks)


def test_what_this_process_has_open_is_in_use(cache: Path) -> None:
    assert files_in_use(cache) == {}
    file = cache / "images/old/file"
    with file.open("rb"):
        assert files_in_use(cache) == {file: f"process {os.getpid()} uses it"}


def test_a_process_that_may_not_be_looked_into_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    assert files_in_use(Path("/"), proc=tmp_path) == {}


def machine(clusters: Path, image: Path) -> Path:
    """The disk of a machine that QEMU's own tool has laid over the image."""
    disk = clusters / "local/machines/system-1/disk.qcow2"
    disk.parent.mkdir(parents=True)
    SystemRunner().run(qemu.create_overlay(image, disk, gibibytes=1))
    return disk


def test_the_disk_of_a_machine_that_does_not_run_leans_on_its_image(cache: Path, tmp_path: Path) -> None:
    machine(tmp_path / "clusters", cache / "images/old/file")
    used = leaning(tmp_path / "clusters")
    assert used == {cache / "images/old/file": "the disk of system-1 in cluster local leans on it"}
    plan = make_plan(list(survey_all(cache).values()), Facts(START, used=used), everything=True)
    assert [verdict.entry.name for verdict in plan if verdict.stays] == ["images/old", "future"]


def test_a_disk_that_is_whole_leans_on_nothing(tmp_path: Path) -> None:
    SystemRunner().run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "disk.qcow2", "1M"])
    assert backing_file(tmp_path / "disk.qcow2") is None


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", bytes(100), b"QFI\xfb" + bytes(11) + b"\x40" + b"\0\0\1\0"])
def test_where_a_disk_does_not_tell_what_it_leans_on_nothing_is_decided(tmp_path: Path, content: bytes) -> None:
    disk = tmp_path / "local/machines/system-1/disk.qcow2"
    disk.parent.mkdir(parents=True)
    disk.write_bytes(content)
    with pytest.raises(MachineError, match="does not tell what it leans on"):
        leaning(tmp_path)


def test_where_a_cluster_does_not_tell_what_it_is_made_of_nothing_is_decided(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local/cluster.json").write_text("{")
    with pytest.raises(OurError, match="does not tell what the cluster is made of"):
        leaning(tmp_path)
