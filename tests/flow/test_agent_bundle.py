"""The agent's bundle: packages by digest, our sources without those of the other rooms, made once."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from bedplate.host.places import Places
from bedplate.host.run import Completed
from bedplate.image.agent import FOLDER, PACKAGES, bundle_files, make_agent
from bedplate.image.tools import Tools
from bedplate.model.digests import sha256
from bedplate.model.errors import PeerError
from bedplate.testing.download import FakeDownloader
from bedplate.testing.report import RecordedReport
from bedplate.testing.runner import FakeRunner, completed


def wheel(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        opened.writestr(f"{name}/__init__.py", "")
    return packed.getvalue()


WHEELS = {f"https://example.org/{name}-1-py3-none-any.whl": wheel(name) for name in PACKAGES}


def locked(name: str, url: str) -> str:
    source = f'{{ url = "{url}", hash = "sha256:{sha256(WHEELS[url])}" }}'
    return f'[[package]]\nname = "{name}"\nversion = "1"\nwheels = [{source}]'


class Builder:
    """A place to build in, with a PyInstaller that notes what lies before it."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(cache=folder / "cache", state=folder / "state")
        self.report = RecordedReport()
        self.lock = folder / "uv.lock"
        self.tools = Tools(folder / "tools/1", FakeRunner(self._bundle))
        self.seen: set[str] = set()
        self.lock.write_text("\n".join(map(locked, PACKAGES, WHEELS)))

    def make(self, downloader: FakeDownloader) -> Path:
        return make_agent(self.lock, tools=self.tools, places=self.places, downloader=downloader, report=self.report)

    def _bundle(self, argv: tuple[str, ...]) -> Completed:
        work = Path(argv[argv.index("enter") + 2])
        self.seen = {str(path.relative_to(work)) for path in work.rglob("*") if path.is_file()}
        (work / "dist/agent/_internal").mkdir(parents=True)
        (work / "dist/agent/bedplate-agent").write_bytes(b"program")
        (work / "dist/agent/_internal/libpython.so").write_bytes(b"library")
        return completed(argv)


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_the_bundle_is_what_pyinstaller_made(builder: Builder) -> None:
    folder = builder.make(FakeDownloader(WHEELS))
    assert set(bundle_files(folder)) == {f"{FOLDER}/bedplate-agent", f"{FOLDER}/_internal/libpython.so"}


def test_packages_and_only_the_rooms_of_the_node_are_bundled(builder: Builder) -> None:
    builder.make(FakeDownloader(WHEELS))
    assert {f"packages/{name}/__init__.py" for name in PACKAGES} <= builder.seen
    rooms = {path.split("/")[2] for path in builder.seen if path.startswith("src/bedplate/")}
    assert {"node", "host", "wire", "model", "__init__.py"} <= rooms
    assert not rooms & {"cli", "image", "local", "pool", "fleet", "testing"}


def test_the_same_bundle_is_made_once(builder: Builder) -> None:
    downloader = FakeDownloader(WHEELS)
    assert builder.make(downloader) == builder.make(downloader)
    assert builder.report.skips == [("Agent", "unchanged")]


def test_a_package_with_another_digest_is_refused_and_leaves_nothing(builder: Builder) -> None:
    url = next(iter(WHEELS))
    with pytest.raises(PeerError, match=r"not what uv\.lock names"):
        builder.make(FakeDownloader({**WHEELS, url: b"other"}))
    assert [path for path in builder.places.cache.rglob("*") if path.is_file() and path.read_bytes() == b"other"] == []
    assert list((builder.places.cache / "agent").iterdir()) == []
