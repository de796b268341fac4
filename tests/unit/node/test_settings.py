"""What an agent is told: the image's defaults, and over them the machine's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.host.clock import SystemClock
from bedplate.local.authorities import CLUSTER, Pki
from bedplate.local.pki import ensure_pki
from bedplate.model.errors import UserError
from bedplate.node.health.probes import FileProbe, HttpProbe, TcpProbe, UnitProbe
from bedplate.node.settings import CREDENTIAL, DEFAULTS, Settings, read_or_default, read_settings, release_root, resolve
from bedplate.rollout.windows import Day

DEFAULT_FILE = Path(__file__).parents[3] / "os/usr/share/bedplate/agent.toml"


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return ensure_pki(tmp_path, SystemClock())


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


UNKNOWN = b"""
sauce = 3
unknown = []
[source]
mirors = ["https://a"]
rate = 5
[leave]
windows = [{start = 02:00:00, minutes = 90, except = ["2026-12-24"]}]
[[health.probes]]
kind = "file"
name = "mark"
path = "/var/lib/mark"
retries = 3
[later.table]
"""
WRONG = [
    b"[source",
    b"\xff",
    b"source = 3",
    b'[health]\nseconds = "a"',
    b"[health]\nseconds = 0",
    b"[health]\nseconds = 3601",
    b"health.probes = 3",
    b'health.probes = [{kind = "later", name = "a"}]',
    b'health.probes = [{name = "a", path = "/"}]',
]


def given(folder: Path, text: bytes) -> Path:
    """A machine's folder of credentials with these settings."""
    (folder / CREDENTIAL).write_bytes(text)
    return folder


def test_a_key_that_this_version_does_not_know_is_named_and_the_others_hold(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, given(tmp_path, UNKNOWN))
    places = ("sauce", "unknown", "source.mirors", "leave.windows[0].except", "health.probes[0].retries", "later")
    assert settings.unknown == places
    assert (settings.source.rate, settings.source.mirrors) == (5, ())
    assert settings.leave.windows[0].minutes == 90
    assert settings.health.probes == (FileProbe(name="mark", path="/var/lib/mark"),)


def test_settings_without_a_slip_have_no_unknown_keys(tmp_path: Path) -> None:
    assert read_settings(tmp_path, given(tmp_path, b"source.rate = 5")).unknown == ()


@pytest.mark.parametrize("text", [b"[source]\nmirors = []", b"[sauce]", b"unknown = []"])
def test_whoever_writes_settings_is_told_of_a_slip(text: bytes) -> None:
    with pytest.raises(UserError, match="settings of the agent cannot be used") as caught:
        resolve(text)
    assert caught.value.details.startswith("There is no ")


@pytest.mark.parametrize(
    "probe",
    [
        'kind = "http", url = "127.0.0.1:8080/healthz"',
        'kind = "http", url = "ftp://127.0.0.1/"',
        'kind = "http", url = "http:///healthz"',
        'kind = "http", url = "http://127.0.0.1:99999/"',
        'kind = "http", url = "http://127.0.0.1:0/"',
        'kind = "http", url = "http://127.0.0.1:port/"',
        'kind = "http", url = "http://["',
        'kind = "http", url = "http://127.0.0.1/a b"',
        'kind = "http", url = "http://127.0.0.1/\\r\\nHost: other"',
        'kind = "tcp", host = "", port = 80',
        'kind = "tcp", host = "a b", port = 80',
        'kind = "tcp", host = "a\\u0000", port = 80',
        'kind = "tcp", host = "127.0.0.1", port = 0',
        'kind = "tcp", host = "127.0.0.1", port = 65536',
    ],
)
def test_an_address_that_no_probe_could_ask_is_refused_when_settings_are_read(probe: str) -> None:
    with pytest.raises(UserError, match="settings of the agent cannot be used") as caught:
        resolve(f'health.probes = [{{name = "web", {probe}}}]'.encode())
    assert "health.probes[0]" in caught.value.details


@pytest.mark.parametrize("url", ["http://[::1]:8080/", "https://example.org", "http://a/b?c=d", "http://a:65535"])
def test_an_address_that_a_probe_can_ask_is_taken(url: str) -> None:
    text = f'health.probes = [{{kind = "http", name = "web", url = "{url}"}}]'
    assert resolve(text.encode()).health.probes == (HttpProbe(name="web", url=url),)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("source.mirrors", '["releases.example.com"]'),
        ("source.mirrors", '["https://a", "https://b:99999"]'),
        ("source.mirrors", '[""]'),
        ("source.proxy", '"10.0.0.1:3128"'),
        ("source.proxy", '"socks5://10.0.0.1:1080"'),
        ("source.ca", '"x"'),
        ("source.ca", '"\u00e4"'),
        ("source.rate", "-1"),
        ("source.check_seconds", "0"),
        ("source.check_seconds", "-5"),
        ("source.jitter_seconds", "-1"),
        ("leave.zone", '"Europe/Berln"'),
        ("leave.zone", '"Europe"'),
        ("leave.zone", '"../UTC"'),
        ("leave.zone", '""'),
        ("leave.fleet_lock", '"locks"'),
        ("leave.proxy", '"10.0.0.1:3128"'),
        ("leave.ca", '"x"'),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_when_settings_are_read(key: str, value: str) -> None:
    with pytest.raises(UserError, match="settings of the agent cannot be used") as caught:
        resolve(f"{key} = {value}".encode())
    assert f"$.{key.partition('.')[0]}" in caught.value.details


def test_values_at_their_limits_are_taken() -> None:
    source = resolve(b"[source]\nrate = 0\ncheck_seconds = 1\njitter_seconds = 0").source
    assert (source.rate, source.check_seconds, source.jitter_seconds) == (0, 1, 0)


def test_every_way_to_a_server_is_taken_where_it_is_one(pki: Pki) -> None:
    authority = pki.certificate(CLUSTER).read_text()
    way = f'proxy = "http://name:word@proxy:3128"\nca = """{authority}"""'
    text = f"""
    [source]
    mirrors = ["https://a", "http://[::1]:8080/releases"]
    {way}
    [leave]
    fleet_lock = "https://locks.example/fleet"
    zone = "Europe/Berlin"
    {way}
    """
    settings = resolve(text.encode())
    assert settings.source.ca == settings.leave.ca == authority
    assert settings.leave.zone == "Europe/Berlin"


@pytest.mark.parametrize("address", ["http//name:word@proxy:3128", "http://name:word@proxy:x"])
def test_what_is_wrong_with_a_proxy_is_told_without_its_password(address: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(f'source.proxy = "{address}"'.encode())
    assert "word@" not in str(caught.value).replace("NAME:PASSWORD@", "")


@pytest.mark.parametrize("text", WRONG)
def test_what_has_to_go_on_without_settings_gets_the_defaults_and_why(tmp_path: Path, text: bytes) -> None:
    settings, problem = read_or_default(tmp_path, given(tmp_path, text))
    assert settings == Settings()
    assert problem


def test_a_file_of_settings_that_cannot_be_read_is_no_reason_to_stop_either(tmp_path: Path) -> None:
    (tmp_path / CREDENTIAL).symlink_to("/proc/self/mem")
    assert "Input/output error" in read_or_default(tmp_path, tmp_path)[1]


@pytest.mark.parametrize("text", WRONG)
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
