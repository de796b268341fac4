"""What a request that cannot be met is told, by the real command, and that it leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from bedplate.host import sockets
from bedplate.host.locks import alone
from bedplate.host.run import Completed, SystemRunner
from bedplate.testing.home import free_port
from tests.flow.test_cell import namespaces_work


def bedplate(state: Path, *arguments: str, **environment: str) -> Completed:
    """Run the command with a state folder of its own; what it said is in `stderr`."""
    argv = [sys.executable, "-m", "bedplate.cli", *arguments]
    env = {"XDG_STATE_HOME": str(state), **environment}
    return SystemRunner().run(argv, env=env, ok=range(256), seconds=60)


def left_behind(state: Path) -> list[str]:
    """Every file below `state` but locks, which stay on purpose."""
    return [str(path) for path in state.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("nodepool", "list"),
        ("nodepool", "add", "--name=burst"),
        ("nodepool", "scale", "--name=system", "--node-count=1"),
        ("nodepool", "delete", "--name=system"),
        ("node", "list"),
        ("node", "console", "system-1"),
        ("tour",),
    ],
    ids=" ".join,
)
def test_what_needs_a_cluster_says_how_to_start_one(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = bedplate(tmp_path, *arguments)
    assert done.code == 2
    assert "The local cluster is not up." in done.stderr.decode()
    assert "bedplate cluster up" in done.stderr.decode()
    assert left_behind(tmp_path) == []


def test_a_second_command_that_changes_the_cluster_is_refused_at_once(tmp_path: Path) -> None:
    with alone(tmp_path / "bedplate/clusters/local.lock", doing="bringing up the local cluster"):
        done = bedplate(tmp_path, "cluster", "down")
    assert done.code == 2
    assert f"Process {os.getpid()} (bringing up the local cluster) is in the way." in done.stderr.decode()
    assert left_behind(tmp_path) == []


def test_a_second_up_says_what_it_would_do_and_leaves_it_to_the_first(tmp_path: Path) -> None:
    if bedplate(tmp_path, "preflight").code == 3:
        pytest.skip("no cluster can be brought up on this machine: bedplate preflight says why")
    ports = (f"--api-port={free_port()}", f"--registry-port={free_port()}")
    with alone(tmp_path / "bedplate/clusters/local.lock", doing="bringing up the local cluster"):
        done = bedplate(tmp_path, "cluster", "up", *ports)
    said = done.stderr.decode()
    assert done.code == 2
    assert "nodes Ready: 2" in said
    assert f"Process {os.getpid()} (bringing up the local cluster) is in the way." in said
    assert left_behind(tmp_path) == []


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with sockets.listen_tcp(0) as door:
        port = door.getsockname()[1]
        done = bedplate(tmp_path, "cluster", "up", f"--api-port={port}")
    assert done.code == 3
    assert f"127.0.0.1:{port} is taken." in done.stderr.decode()
    assert left_behind(tmp_path) == []


def test_a_missing_program_is_named_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = bedplate(tmp_path / "state", "cluster", "up", PATH=str(tmp_path / "bin"))
    assert done.code == 3
    said = done.stderr.decode()
    assert "qemu-system-x86_64 is not in PATH." in said
    assert "./dev setup" in said
    assert "Traceback" not in said


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("command", [("build",), ("build", "--dry-run"), ("lock",)], ids=" ".join)
def test_every_part_that_a_recipe_lacks_is_named_before_anything_is_built(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    for name in ("components", "os"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "os/usr.toml").unlink()
    shutil.rmtree(tmp_path / "os/esp")
    done = bedplate(tmp_path / "state", "image", *command, f"--root={tmp_path}")
    assert done.code == 2
    assert "usr.toml is missing\n  esp is missing\n  ../uv.lock is missing\n" in done.stderr.decode()
    assert left_behind(tmp_path / "state") == []


def test_a_shell_on_the_console_is_not_signed_with_keys_that_machines_trust(tmp_path: Path) -> None:
    done = bedplate(tmp_path / "state", "image", "build", "--debug", f"--keys={tmp_path}")
    assert done.code == 2
    assert "A development image is not signed with keys of your own." in done.stderr.decode()
    assert left_behind(tmp_path / "state") == []


def test_keys_that_are_no_pair_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    done = bedplate(tmp_path / "state", "image", "build", f"--keys={tmp_path}")
    assert done.code == 2
    assert done.stderr.decode().startswith(f"Error: {tmp_path} lacks db.key and db.crt.")
    assert left_behind(tmp_path / "state") == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("components", "build", "ghost"), "There is no component ghost."),
        (("components", "list", "ghost"), "There is no component ghost."),
        (("image", "build", "--version=nonsense"), "'nonsense' is not the version of a node image."),
        (("image", "build", "--root=/nowhere"), "/nowhere/os is not a whole recipe."),
        (("image", "inspect", "/nowhere"), "There is no image /nowhere here."),
        (("image", "diff", "/nowhere", "/neither"), "There is no image /nowhere here."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_name_that_nothing_has_is_told(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    done = bedplate(tmp_path, *arguments)
    assert done.code == 2
    assert told in done.stderr.decode()
    assert "What to do:" in done.stderr.decode()
    assert left_behind(tmp_path) == []


@pytest.mark.skipif(not namespaces_work(), reason="this machine lets no user mount")
def test_a_disk_without_space_is_the_machines_fault(tmp_path: Path) -> None:
    """The cache is a file system of one page: the first file that is written fills it."""
    cache = tmp_path / "cache"
    cache.mkdir()
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    script = 'mount -t tmpfs -o size=4k tmpfs "$XDG_CACHE_HOME" && exec "$@"'
    command = [sys.executable, "-m", "bedplate.cli", "components", "build", "runc"]
    env = {"XDG_CACHE_HOME": str(cache), "XDG_STATE_HOME": str(tmp_path / "state")}
    done = SystemRunner().run([*alone, script, "sh", *command], env=env, ok=range(256), seconds=60)
    assert done.code == 3, done.stderr
    assert done.stderr.decode() == (
        "Error: The disk is full.\n"
        "  At fault: this machine\n"
        "  [Errno 28] No space left on device\n"
        "  What to do: Free some space (`bedplate cache prune`), then try again: what is in the cache is whole.\n"
    )
    assert left_behind(tmp_path / "state") == []


def test_taking_down_what_is_not_up_is_no_error(tmp_path: Path) -> None:
    done = bedplate(tmp_path, "cluster", "down", "--all")
    assert done.code == 0
    assert "it is not up" in done.stderr.decode()


def test_a_dry_run_refuses_keys_that_are_not_there_as_the_build_does(tmp_path: Path) -> None:
    for dry in ((), ("--dry-run",)):
        done = bedplate(tmp_path, "image", "build", f"--keys={tmp_path / 'none'}", *dry)
        assert (done.code, done.stdout) == (2, b"")
        assert "lacks db.key and db.crt." in done.stderr.decode()
