"""The toolchain is the pinned one, whole, or not there at all."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from bedplate.image.components.toolchain import DEFAULT_PROXY, Toolchain, have_toolchain, proxy_address
from bedplate.model.digests import sha256
from bedplate.model.errors import PeerError, UserError
from bedplate.testing.download import FakeDownloader
from bedplate.testing.report import RecordedReport

TOP = "golang.org/toolchain@v0.0.1-go1.0.0.linux-amd64"


def archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name in ("bin/go", "pkg/tool/linux_amd64/link", "src/_go.mod", "src/fmt/print.go"):
            file.writestr(f"{TOP}/{name}", name)
    return data.getvalue()


ZIP = archive()
PINNED = Toolchain("1.0.0", sha256(ZIP))
URL = f"{DEFAULT_PROXY}/golang.org/toolchain/@v/v0.0.1-go1.0.0.linux-amd64.zip"


def fetch(cache: Path, downloader: FakeDownloader, *, pinned: Toolchain = PINNED) -> Path:
    return have_toolchain(pinned, cache, go_proxy="", downloader=downloader, report=RecordedReport())


def kept(cache: Path) -> list[str]:
    return [path.name for path in (cache / "toolchains").iterdir()]


def test_it_is_unpacked_as_the_go_command_does(tmp_path: Path) -> None:
    root = fetch(tmp_path, FakeDownloader({URL: ZIP}))
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == {"bin/go", "pkg/tool/linux_amd64/link", "src/go.mod", "src/fmt/print.go"}
    programs = {path.name for path in root.rglob("*") if path.is_file() and path.stat().st_mode & 0o111}
    assert programs == {"go", "link"}


def test_it_is_fetched_once(tmp_path: Path) -> None:
    downloader = FakeDownloader({URL: ZIP})
    assert fetch(tmp_path, downloader) == fetch(tmp_path, downloader)
    assert downloader.asked == [URL]


def test_other_bytes_than_the_pinned_ones_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(PeerError) as error:
        fetch(tmp_path, FakeDownloader({URL: ZIP + b"more"}))
    assert PINNED.sha256 in error.value.details
    assert kept(tmp_path) == []


def test_a_half_written_download_is_not_kept_and_the_next_try_starts_anew(tmp_path: Path) -> None:
    with pytest.raises(PeerError):
        fetch(tmp_path, FakeDownloader({URL: ZIP}, breaks_after=20))
    assert kept(tmp_path) == []
    fetch(tmp_path, FakeDownloader({URL: ZIP}))
    assert kept(tmp_path) == ["go1.0.0"]


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("", DEFAULT_PROXY),
        ("https://a.dev/go/,direct", "https://a.dev/go"),
        ("direct,https://a.dev|https://b.dev", "https://a.dev"),
    ],
)
def test_the_first_server_of_goproxy_is_asked(setting: str, address: str) -> None:
    assert proxy_address(setting) == address


@pytest.mark.parametrize("setting", ["off", "direct", "direct,off"])
def test_a_setting_without_a_server_is_the_users_to_change(setting: str) -> None:
    with pytest.raises(UserError, match="GOPROXY"):
        proxy_address(setting)
