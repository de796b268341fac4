"""What an agent is told: the image's defaults, and over them the machine's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.model.errors import UserError
from bedplate.node.health.probes import FileProbe, HttpProbe, TcpProbe, UnitProbe
from bedplate.node.settings import CREDENTIAL, DEFAULTS, Settings, read_settings, release_root, resolve
from bedplate.rollout.windows import Day

DEFAULT_FILE = Path(__file__).parents[3] / "os/usr/share/bedplate/agent.toml"


def test_the_image_says_nothing_but_the_defaults() -> None:
    assert resolve(DEFAULT_FILE.read_bytes()) == Settings(source=Settings().source.__class__(channel="stable"))


def test_the_machine_changes_single_keys(tmp_path: Path) -> None:
    (tmp_path / DEFAULTS).parent.mkdir(parents=True)
    (tmp_path / DEFAULTS).write_text('[source]\nchannel = "stable"\nrate = 5\n')
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / CREDENTIAL).write_text('source.mirrors = ["https://a"]\nsource.rate = 9\n')
    source = read_settings(tmp_path, credentials).source
    assert (source.channel, source.rate, source.mirrors) == ("stable", 9, ("https://a",))


def test_every_kind_of_probe_and_window_is_read() -> None:
    text = b"""
    [[health.probes]]
    kind = "http"
    name = "web"
    url = "http://127.0.0.1/"
    [[health.probes]]
    kind = "tcp"
    name = "db"
    host = "10.0.0.1"
    port = 5432
    [[health.probes]]
    kind = "unit"
    name = "time"
    unit = "systemd-timesyncd.service"
    [[health.probes]]
    kind = "file"
    name = "mark"
    path = "/var/lib/mark"
    [[leave.windows]]
    days = ["sat", "sun"]
    start = 02:00:00
    minutes = 90
    """
    settings = resolve(text)
    assert [type(each) for each in settings.health.probes] == [HttpProbe, TcpProbe, UnitProbe, FileProbe]
    assert settings.leave.windows[0].days == (Day.SAT, Day.SUN)


@pytest.mark.parametrize(
    "text", [b"[source]\nmirors = []", b"[sauce]", b"[source", b"\xff", b"source = 3", b'[health]\nseconds = "a"']
)
def test_what_cannot_be_used_is_refused_and_says_where_it_comes_from(text: bytes) -> None:
    with pytest.raises(UserError, match="settings of the agent cannot be used") as caught:
        resolve(text)
    assert CREDENTIAL in caught.value.resolution


def test_the_machines_own_root_of_trust_goes_before_the_images(tmp_path: Path) -> None:
    assert release_root(tmp_path, None) == b""
    (tmp_path / "usr/share/bedplate").mkdir(parents=True)
    (tmp_path / "usr/share/bedplate/root.json").write_bytes(b"image")
    assert release_root(tmp_path, tmp_path) == b"image"
    (tmp_path / "bedplate.release-root").write_bytes(b"own")
    assert release_root(tmp_path, tmp_path) == b"own"
