"""Exchanging keys and signing anew: nodes follow by themselves, whenever the power goes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bedplate.model.errors import MachineError, PeerError, UserError
from bedplate.release.publish.edit import Edit, carry_out
from bedplate.release.publish.keys import Keyring, make_key, name_key
from bedplate.release.publish.renewal import expiries, refresh, refresh_command
from bedplate.release.publish.roles import RULES
from bedplate.release.publish.rotation import rotate
from bedplate.release.publish.shown import read_shown
from bedplate.release.trust.layout import TIMESTAMP_FILE
from bedplate.testing.releases import OLDER, VERSION
from bedplate.testing.store import MemoryStore, PowerCut
from tests.unit.release.publisher import STABLE, Publisher, exchanging, promoting, publishing

ROTATED = list(RULES)


@pytest.fixture
def started(publisher: Publisher) -> Publisher:
    publisher.do(publishing(OLDER))
    publisher.do(promoting(OLDER))
    return publisher


@pytest.mark.parametrize("role", ROTATED)
def test_nodes_follow_an_exchanged_key(started: Publisher, role: str) -> None:
    node = started.node()
    assert node.channel(STABLE).version == OLDER
    started.do(exchanging(started, role))
    started.do(publishing())
    started.do(promoting())
    node.refresh()
    for each in (node, started.node("new")):
        assert each.release(each.channel(STABLE).version).version == VERSION


@pytest.mark.parametrize("role", ROTATED)
def test_after_the_next_change_the_old_key_is_worth_nothing(started: Publisher, role: str) -> None:
    old = started.keys.of_role(role)[0].keyid
    started.do(exchanging(started, role))
    shown = read_shown(started.store)
    holders = [*shown.root.signed.roles.values()]
    for signed in shown.roles.values():
        if signed.delegations and signed.delegations.roles:
            holders += signed.delegations.roles.values()
    assert [holder for holder in holders if old in holder.keyids] == []


@pytest.mark.parametrize("role", ROTATED)
def test_a_power_cut_while_a_key_is_exchanged_leaves_a_repository_that_works(started: Publisher, role: str) -> None:
    before = dict(started.store.files)
    writes = started.edit(exchanging(started, role)).seal(started.keys)
    for power in range(len(writes)):
        started.store = MemoryStore(dict(before), power=power)
        with pytest.raises(PowerCut):
            carry_out(writes, started.store)
        assert started.node(f"node-{power}").channel(STABLE).version == OLDER


def test_a_lost_key_is_replaced_without_it(started: Publisher) -> None:
    old = started.keys.of_role("timestamp")[0].keyid
    (started.folder / "keys/timestamp-1.pem").unlink()
    held = make_key(started.folder / "keys", "timestamp")
    started.keys = Keyring([started.folder / "keys"])
    started.do(lambda edit: rotate(edit, "timestamp", add=[held.key()], remove=[old]))
    assert started.store.writes[-3] == "metadata/2.root.json"
    assert started.node().channel(STABLE).version == OLDER


def test_a_time_that_is_wrong_goes_with_the_key_that_signed_it(started: Publisher) -> None:
    began, started.now = started.now, started.now + timedelta(days=3650)
    started.do(lambda edit: refresh(edit, RULES))
    started.now = began
    with pytest.raises(MachineError, match="clock is behind"):
        started.do(refresh)
    started.do(exchanging(started, "timestamp"))
    started.do(refresh)
    assert started.node().channel(STABLE).version == OLDER


def test_a_time_that_is_none_goes_with_the_key_that_signed_it(started: Publisher) -> None:
    files, said = started.store.files, f"{started.now:%Y-%m-%dT%H:%M:%SZ}"
    files[TIMESTAMP_FILE] = files[TIMESTAMP_FILE].replace(said.encode(), b"tomorrow")
    with pytest.raises(PeerError, match="The last timestamp cannot be used"):
        started.do(refresh)
    started.do(exchanging(started, "timestamp"))
    started.do(refresh)
    assert started.node().channel(STABLE).version == OLDER


def test_the_threshold_of_the_root_holds_when_its_keys_change(started: Publisher) -> None:
    change = exchanging(started, "root")
    for name in ("root-2.pem", "root-3.pem"):
        (started.folder / "keys" / name).unlink()
    with pytest.raises(UserError, match="Too few keys of root are here: 1 of the 2"):
        started.edit(change).seal(Keyring([started.folder / "keys"]))


def test_keys_that_lie_on_several_media_sign_together(started: Publisher) -> None:
    """Each has a copy of keys.json, which names the keys of the others too."""
    keys = started.folder / "keys"
    media = [started.folder / f"media-{number}" for number in (1, 2, 3)]
    for number, medium in enumerate(media, 1):
        medium.mkdir()
        (medium / "keys.json").write_bytes((keys / "keys.json").read_bytes())
        (keys / f"root-{number}.pem").rename(medium / f"root-{number}.pem")
    with pytest.raises(UserError, match="Too few keys of root are here: 1 of the 2"):
        started.edit(lambda edit: refresh(edit, ["root"])).seal(Keyring([keys, media[2]]))
    carry_out(started.edit(lambda edit: refresh(edit, ["root"])).seal(Keyring([keys, *media[1:]])), started.store)
    assert started.node().refresh().root_version == 2


@pytest.mark.parametrize(
    ("role", "remove", "threshold", "words"),
    [
        ("nobody", [], None, "no role 'nobody'"),
        ("root", ["xyz"], None, "not the beginning of one key of root"),
        ("channels", [], 2, "channels would have 1 keys, of which 2"),
    ],
)
def test_an_exchange_that_makes_no_sense_is_refused(
    started: Publisher, role: str, remove: list[str], threshold: int | None, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        started.edit(lambda edit: rotate(edit, role, add=[], remove=remove, threshold=threshold))


def test_a_key_elsewhere_is_named_by_its_public_half(publisher: Publisher, tmp_path: Path) -> None:
    public = tmp_path / "kms.pub"
    public.write_text(
        "-----BEGIN PUBLIC KEY-----\n"
        "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
        "-----END PUBLIC KEY-----\n"
    )
    held = name_key(publisher.folder / "keys", "channels", "gcpkms:projects/p/key/1", public)
    assert held.key() in Keyring([publisher.folder / "keys"]).of_role("channels")
    with pytest.raises(MachineError, match=r"gcpkms:projects/p/key/1 of channels cannot be used") as caught:
        Keyring([publisher.folder / "keys"]).signers([held.keyid])
    assert "securesystemslib[gcpkms]" in caught.value.resolution
    with pytest.raises(UserError, match="holds no public key"):
        name_key(publisher.folder / "keys", "channels", "gcpkms:x", tmp_path / "gone")


def test_a_refresh_extends_snapshot_and_timestamp_alone(started: Publisher) -> None:
    started.now += timedelta(days=5)
    started.store.writes.clear()
    started.do(refresh)
    assert started.store.writes == ["metadata/4.snapshot.json", "metadata/timestamp.json"]
    started.now += timedelta(days=6)
    assert started.node().channel(STABLE).version == OLDER


def test_any_other_role_is_signed_anew_when_it_is_named(started: Publisher) -> None:
    started.now += timedelta(days=300)
    started.do(lambda edit: refresh(edit, ["root", "targets", "releases", "channels", OLDER]))
    started.now += timedelta(days=5)
    left = {row.role: row.days for row in expiries(read_shown(started.store), started.now)}
    assert min(days for role, days in left.items() if role not in ("snapshot", "timestamp")) == 360
    assert started.node().release(OLDER).version == OLDER
    with pytest.raises(UserError, match="no role nobody"):
        started.edit(lambda edit: refresh(edit, ["nobody"]))


@pytest.mark.parametrize(
    ("role", "words"), [("timestamp", ""), ("snapshot", ""), ("channels", " channels"), ("root", " root")]
)
def test_what_expires_is_renewed_by_a_command_that_names_it_unless_it_is_renewed_every_day(
    role: str, words: str
) -> None:
    assert refresh_command(role) == f"bedplate release refresh{words}"


def test_what_expires_soon_is_marked(started: Publisher) -> None:
    later = started.now + timedelta(days=6)
    soon = {row.role for row in expiries(read_shown(started.store), later) if row.soon}
    assert soon == {"timestamp"}


def test_every_role_can_be_signed_with_the_days_that_the_keys_name(started: Publisher) -> None:
    edit = Edit(read_shown(started.store), started.now, {"timestamp": 2})
    assert edit.expiry("timestamp") == started.now + timedelta(days=2)
