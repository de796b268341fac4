"""What `./dev bench update` compares, how it counts, and how it tells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bedplate.host.run import Completed
from bedplate.image.components.catalogue import Component, Role, read_catalogue
from bedplate.image.lock import Lock, Locked, read_lock
from bedplate.model.digests import sha256
from bedplate.model.errors import MachineError, OurError, UserError
from bedplate.testing.runner import FakeRunner, completed
from bench.cost import NOTHING, Cost, cost_of, parse_cost
from bench.deltas import OURS, OURS_AGAIN, Way, smallest_of_others, table
from bench.figures import Figure
from bench.pairs import KERNEL, KUBERNETES, LAST, PAIRS, make_root, with_older
from bench.peers import PEERS, Outcome, Peer, have_outcome, outcome
from bench.tables import entry, is_entry, side_by_side
from bench.update import judged

ROOT = Path(__file__).parents[2]
SWAP = Peer(
    "swap",
    "swap",
    prepare="swap index {old} {work}/index",
    make="swap make {new} {work}/delta",
    apply="swap apply {work}/delta {out}",
)


def locked(name: str, version: str) -> Locked:
    return Locked(name, version, "amd64", 1, sha256(f"{name} {version}".encode()), f"debian/pool/{name}_{version}.deb")


def lock(*packages: Locked) -> Lock:
    return Lock((), tuple(sorted(packages)))


def way(name: str, *, usr: int, uki: int) -> Way:
    cost = Cost(1.5, 2.0, 3_000_000)
    return Way(name, Outcome(usr, cost, cost), Outcome(uki, cost, cost))


class Swap:
    """A tool whose delta is its input backwards."""

    def __init__(self, *, spoils: str = "") -> None:
        self.spoils = spoils
        self.runner = FakeRunner(self.act)

    @property
    def verbs(self) -> list[str]:
        return [command[command.index("swap") + 1] for command in self.runner.commands if command[0] != "dpkg-query"]

    def act(self, argv: tuple[str, ...]) -> Completed:
        if argv[0] == "time":
            Path(argv[2].removeprefix("--output=")).write_text("0.25 0.5 1.0 1000\n")
        match argv[argv.index("swap") :] if "swap" in argv else ():
            case ("swap", "index", _, index):
                Path(index).write_bytes(b"what a node has")
            case ("swap", verb, source, target):
                Path(target).write_bytes(b"" if verb == self.spoils else Path(source).read_bytes()[::-1])
        return completed(argv, stdout=b"1.0")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"before")
    new.write_bytes(b"after it")
    return old, new


def test_an_older_lock_has_the_packages_as_they_were_and_the_kernel_under_its_name_of_then() -> None:
    now = lock(locked("linux-image-6.12.118+deb13-amd64", "2"), locked("openssl", "2"), locked("zlib", "1"))
    then = lock(locked("linux-image-6.12.117+deb13-amd64", "1"), locked("openssl", "1"))
    assert with_older(now, then).packages == (*then.packages, locked("zlib", "1"))


@pytest.mark.parametrize("then", [locked("openssl", "2"), locked("gone", "1")], ids=["same", "not there"])
def test_an_older_package_that_is_none_is_refused(then: Locked) -> None:
    with pytest.raises(UserError, match="does not fit") as refused:
        with_older(lock(locked("openssl", "2")), lock(then))
    assert then.name in refused.value.details


def test_the_kernel_hop_is_one_of_kernel_and_openssl_only(tmp_path: Path) -> None:
    make_root(ROOT, tmp_path, (KERNEL,))
    now, then = (read_lock((root / "os/packages.lock").read_text(), "") for root in (ROOT, tmp_path))
    changed = {package.name for package in {*now.packages} ^ {*then.packages}}
    assert {name for name in changed if not name.startswith(("linux-image-", "openssl", "libssl"))} == set()
    assert any(name.startswith("linux-image-6") for name in changed)
    assert locks(tmp_path) == locks(ROOT)


def test_the_kubernetes_hop_is_one_of_patch_releases_of_kubelet_and_containerd_only(tmp_path: Path) -> None:
    make_root(ROOT, tmp_path, (KUBERNETES,))
    now, then = components(ROOT), components(tmp_path)
    assert (tmp_path / "os/packages.lock").read_text() == (ROOT / "os/packages.lock").read_text()
    assert {name for name, lock in locks(tmp_path).items() if lock != locks(ROOT)[name]} == {"kubernetes", "containerd"}
    for name in ("kubernetes", "containerd"):
        assert then[name].flags == tuple(flag.replace(*versions(now, then, name)) for flag in now[name].flags)
        assert of_image(then[name]) == of_image(now[name])


def components(root: Path) -> dict[str, Component]:
    return {component.name: component for component in read_catalogue(root / "components")}


def locks(root: Path) -> dict[str, Mapping[str, str]]:
    return {name: component.lock for name, component in components(root).items()}


def of_image(component: Component) -> list[tuple[str, str]]:
    return [(tool.name, tool.package) for tool in component.tools if tool.role is Role.IMAGE]


def versions(now: dict[str, Component], then: dict[str, Component], name: str) -> tuple[str, str]:
    new, old = now[name].version, then[name].version
    assert new.rpartition(".")[0] == old.rpartition(".")[0]
    assert int(new.rpartition(".")[2]) > int(old.rpartition(".")[2])
    return new, old


def test_each_pair_has_its_files_and_one_older_release_of_its_own() -> None:
    assert {path.name for path in PAIRS.iterdir()} == {"kernel-hop.lock", "kubernetes-hop"}
    assert [parts for parts in LAST if len(parts) == 1] == [(KERNEL,), (KUBERNETES,)]


def test_a_cost_is_read_as_time_writes_it() -> None:
    assert parse_cost("1.50 0.25 2.00 1024\n") == Cost(1.75, 2.0, 1 << 20)


@pytest.mark.parametrize("text", ["", "1.5 0.2 2.0", "Command terminated by signal 9\n0 0 0 0", "a b c d"])
def test_anything_else_is_no_cost(text: str) -> None:
    with pytest.raises(OurError):
        parse_cost(text)


def test_one_after_the_other_adds_times_and_needs_the_larger_memory() -> None:
    assert Cost(1, 2, 30) + Cost(10, 20, 3) == Cost(11, 22, 30)
    assert Cost(1, 2, 3) + NOTHING == Cost(1, 2, 3)


def test_a_cost_is_that_of_the_program_alone() -> None:
    swap = Swap()
    assert cost_of(["swap", "index", "old", "/dev/null"], swap.runner) == Cost(0.75, 1.0, 1_024_000)
    assert swap.runner.commands[0][0] == "time"


def test_only_what_a_node_has_not_is_counted_as_sent(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    swap = Swap()
    found = outcome(SWAP, *files, tmp_path / "scratch", swap.runner)
    assert (found.size, found.make.cpu, found.apply.cpu) == (len(b"after it"), 0.75, 0.75)
    assert swap.verbs == ["index", "make", "apply"]


def test_a_delta_that_gives_other_bytes_is_no_figure(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    with pytest.raises(MachineError, match="swap did not make the same file"):
        outcome(SWAP, *files, tmp_path / "scratch", Swap(spoils="apply").runner)


def test_what_was_measured_is_kept_until_a_file_changes(files: tuple[Path, Path], tmp_path: Path) -> None:
    swap, cache = Swap(), tmp_path / "cache"
    first = have_outcome(SWAP, *files, cache, swap.runner)
    assert have_outcome(SWAP, *files, cache, swap.runner) == first
    assert swap.verbs == ["index", "make", "apply"]
    files[0].write_bytes(b"another one before")
    have_outcome(SWAP, *files, cache, swap.runner)
    assert swap.verbs == ["index", "make", "apply"] * 2
    assert [path.suffix for path in cache.iterdir()] == [".json", ".json"]


def test_the_tools_of_the_issue_are_there_and_get_their_packages() -> None:
    wanted = [line.split()[0] for name in LISTS for line in (ROOT / name).read_text().splitlines() if line[0] != "#"]
    assert {peer.package for peer in PEERS} == {"xdelta3", "bsdiff", "zstd", "casync"}
    assert {peer.package for peer in PEERS} <= set(wanted)
    assert "time" in wanted


LISTS = ("os/packages-host.txt", "bench/packages-update.txt")


def test_figures_of_a_table_stand_side_by_side() -> None:
    figures = [
        entry("a hop", "ours", "/usr", 0.675, "MB"),
        entry("a hop", "ours", "make", 27, "CPU s"),
        entry("a hop", "theirs", "/usr", 15.1, "MB"),
        Figure("not in a table", 1.0, "s"),
        entry("b hop", "ours", "/usr", 1, "MB"),
    ]
    assert side_by_side(figures) == (
        "A hop   /usr, MB  make, CPU s\nours    0.68      27.00\ntheirs  15.10     -\n\nB hop  /usr, MB\nours   1.00\n"
    )
    assert [figure.name for figure in figures if not is_entry(figure)] == ["not in a table"]


def test_without_such_figures_there_is_no_table() -> None:
    assert side_by_side([Figure("not in a table", 1.0, "s")]) == ""


def test_a_way_is_told_by_part_and_as_a_whole() -> None:
    told = {
        figure.name: (figure.value, figure.unit) for figure in table(KERNEL, [way(OURS, usr=1_000_000, uki=500_000)])
    }
    assert told == {
        f"{KERNEL} | {OURS} | /usr": (1.0, "MB"),
        f"{KERNEL} | {OURS} | UKI": (0.5, "MB"),
        f"{KERNEL} | {OURS} | whole": (1.5, "MB"),
        f"{KERNEL} | {OURS} | make": (3.0, "CPU s"),
        f"{KERNEL} | {OURS} | make, memory": (3.0, "MB"),
        f"{KERNEL} | {OURS} | apply": (3.0, "CPU s"),
        f"{KERNEL} | {OURS} | apply, memory": (3.0, "MB"),
    }


def test_the_smallest_of_the_others_is_none_of_ours() -> None:
    ways = [way(OURS, usr=1, uki=1), way("a", usr=9, uki=1), way("b", usr=2, uki=7)]
    assert smallest_of_others(ways).name == "b"


def test_ours_is_judged_by_its_goal_and_by_the_smallest_other() -> None:
    ways = [
        way(OURS, usr=1_000_000, uki=11_000_000),
        way(OURS_AGAIN, usr=1_000_000, uki=5_000_000),
        way("a", usr=10_000_000, uki=0),
        way("b", usr=20_000_000, uki=0),
    ]
    assert list(judged(KERNEL, ways)) == [
        Figure(f"{KERNEL}, {OURS}", 12.0, "MB", 13.0, met=True),
        Figure("  of the smallest other, a", 120.0, "%", 100, met=False),
        Figure(f"{KERNEL}, {OURS_AGAIN}", 6.0, "MB", 5.0, met=False),
        Figure("  of the smallest other, a", 60.0, "%", 100, met=True),
    ]
