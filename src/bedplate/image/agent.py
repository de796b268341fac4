"""The agent as a bundle: our Python with its interpreter as a library, so that a node has none that could be called."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from bedplate.host.download import Downloader
from bedplate.host.files import folder_in_one_step, remove_leftovers
from bedplate.host.places import Places
from bedplate.host.report import Report
from bedplate.image.tools import Tools
from bedplate.image.wheels import Target, choose_wheels, unpack_wheels

HOUSE = Path(__file__).parents[1]
ROOMS = ("node", "release", "host", "rollout", "wire", "model")
"""What node may import, so what can be in the bundle at all."""
DESCRIPTION = Path(__file__).with_name("agent.spec")
PYTHON = Target("cp313")
"""The Python of Debian trixie, which the tools tree has."""
PACKAGES = ("pyinstaller", "msgspec", "pyyaml", "tuf", "urllib3", "cryptography", "cffi", "zstandard")
FOLDER = "usr/lib/bedplate/agent"
PROGRAM = "bedplate-agent"


def make_agent(lock: Path, *, tools: Tools, places: Places, downloader: Downloader, report: Report) -> Path:
    """The folder with the bundle, made where the cache lacks it; `lock` is uv.lock, which pins its packages.

    Two at once must wait for each other: call it under the image's lock.
    """
    folder = agent_place(lock, tools.tree, places)
    if folder.is_dir():
        report.skipped("Agent", "unchanged")
        return folder
    remove_leftovers(folder)
    with report.step("Agent") as step, folder_in_one_step(folder) as scratch:
        work = scratch / ".work"
        wheels = choose_wheels(lock.read_bytes(), PACKAGES, PYTHON)
        unpack_wheels(wheels, places.cache / "downloads/wheels", work / "packages", downloader=downloader, step=step)
        for file in sources():
            target = work / "src/bedplate" / file.relative_to(HOUSE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        shutil.copyfile(DESCRIPTION, work / DESCRIPTION.name)
        step.note("bundle")
        bundle(work, tools)
        for entry in (work / "dist/agent").iterdir():
            entry.rename(scratch / entry.name)
        shutil.rmtree(work)
    return folder


def bundle(work: Path, tools: Tools) -> None:
    """Run PyInstaller on what `work` holds. The fixed seed and date make the same bundle from the same input."""
    argv = ["python3", "-m", "PyInstaller", "--log-level=WARN", "--distpath=/mnt/dist", "--workpath=/mnt/build"]
    env = {
        "PYTHONPATH": "/mnt/packages",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "0",
        "PYINSTALLER_CONFIG_DIR": "/mnt/config",
    }
    tools.run(work, [*argv, f"/mnt/{DESCRIPTION.name}"], env=env)


def bundle_files(folder: Path) -> dict[str, Path]:
    """Every file of the bundle by its path in the image."""
    return {f"{FOLDER}/{path.relative_to(folder)}": path for path in folder.rglob("*") if path.is_file()}


def sources() -> Sequence[Path]:
    """The files of ours that can be in the bundle."""
    return sorted([HOUSE / "__init__.py", *(file for room in ROOMS for file in (HOUSE / room).rglob("*.py"))])


def agent_place(lock: Path, tools: Path, places: Places) -> Path:
    """Where the cache keeps the bundle: named by all that it is a function of."""
    summary = hashlib.sha256(tools.name.encode())
    for wheel in choose_wheels(lock.read_bytes(), PACKAGES, PYTHON):
        summary.update(wheel.sha256.encode())
    for file in [Path(__file__), DESCRIPTION, *sources()]:
        summary.update(f"{file.relative_to(HOUSE)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return places.cache / "agent" / summary.hexdigest()[:16]
