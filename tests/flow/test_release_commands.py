"""`bedplate release` as people type it, on a repository and keys of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from bedplate.cli.main import main
from bedplate.release.publish.keys import IN_A_FILE, HeldKey, make_keys, read_keys
from bedplate.release.publish.roles import ROOT
from bedplate.testing.releases import OLDER, VERSION, prepared_release

STABLE = "1.37/stable"
AWAY = "hsm:1?label=away"
LOCK = ".repository.lock"
"""What every change but a dry run leaves, whether it is refused or not."""


class Desk:
    """Where somebody publishes from."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.repository, self.keys = folder / "repository", folder / "keys"

    def run(self, verb: str, *words: str, keys: bool = True) -> int:
        where = ["--repository", str(self.repository)] + (["--keys", str(self.keys)] if keys else [])
        return main(["release", verb, *words, *where])

    def says(self, verb: str, *words: str, keys: bool = True) -> str:
        code = self.run(verb, *words, keys=keys)
        out, err = self.capsys.readouterr()
        assert code == 0, err
        return out

    def fails(self, verb: str, *words: str, keys: bool = True) -> str:
        code = self.run(verb, *words, keys=keys)
        assert code != 0
        return self.capsys.readouterr().err

    def tells(self, verb: str, *words: str) -> Any:
        return json.loads(self.says(verb, *words, "--output", "json", keys=False))

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    desk = Desk(tmp_path, capsys)
    for version in (OLDER, VERSION):
        prepared_release(tmp_path / version, version)
    desk.says("init")
    return desk


def publish(desk: Desk, version: str) -> None:
    desk.says("publish", str(desk.folder / version))


def test_a_release_goes_from_a_folder_to_a_channel(desk: Desk) -> None:
    publish(desk, OLDER)
    publish(desk, VERSION)
    desk.says("promote", VERSION, STABLE)
    rows = desk.tells("list")
    assert [(row["version"], row["channels"]) for row in rows] == [(VERSION, [STABLE]), (OLDER, [])]
    assert f"{VERSION}  {STABLE}" in desk.says("list", keys=False)


def test_a_withdrawn_version_says_why_in_the_list(desk: Desk) -> None:
    publish(desk, VERSION)
    desk.says("withdraw", VERSION, "--reason", "it eats disks")
    assert desk.tells("list")[0]["withdrawn"] == "it eats disks"


def test_channels_that_still_point_to_what_is_withdrawn_are_named(desk: Desk) -> None:
    publish(desk, VERSION)
    desk.says("promote", VERSION, STABLE)
    assert desk.run("withdraw", VERSION, "--reason", "it eats disks") == 0
    told = desk.capsys.readouterr()
    assert f"Nodes that follow {STABLE} take nothing until another version is promoted there." in told.out + told.err


def test_what_a_prepared_release_is_made_of_is_said_when_it_is_prepared(desk: Desk) -> None:
    refused = desk.fails("publish", str(desk.folder / VERSION), "--minimum", OLDER)
    assert "Give --notes, --minimum and --deltas to `release prepare`." in refused


@pytest.mark.parametrize(
    "words",
    [("publish", VERSION), ("promote", OLDER, STABLE), ("withdraw", OLDER, "--reason", "x"), ("refresh", "channels")],
    ids=lambda words: words[0],
)
def test_a_dry_run_prints_the_same_plan_without_keys_and_changes_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    publish(desk, OLDER)
    real = tuple(str(desk.folder / VERSION) if word == VERSION else word for word in words)
    before = desk.files()
    planned = desk.says(*real, "--dry-run", "--output=json", keys=False)
    assert desk.files() == before
    assert planned == desk.says(*real, "--output=json")
    assert "Sign timestamp" in planned


def test_what_was_done_is_not_told_as_what_would_be(desk: Desk) -> None:
    assert desk.says("refresh", "--dry-run", keys=False).split()[:3] == ["Action", "Verb", "Reason"]
    assert desk.says("refresh").split()[:2] == ["Done", "Reason"]


def test_a_new_repository_says_where_its_keys_lie_and_what_comes_next(desk: Desk) -> None:
    desk.repository = desk.folder / "other/repository"
    assert f"Make 8 keys in {desk.folder}/other/keys" in desk.says("init", "--dry-run", keys=False)
    assert desk.run("init", keys=False) == 0
    told = " ".join(desk.capsys.readouterr().err.split())
    assert f"Its keys lie in {desk.folder}/other/keys. Move root-*.pem and targets-1.pem away" in told
    assert "with a copy of keys.json" in told
    assert f"--trust {desk.repository}/metadata/1.root.json" in told
    assert "bedplate release publish" in told


def test_keys_that_are_there_are_said_to_be_used(desk: Desk) -> None:
    desk.repository = desk.folder / "second"
    assert f"Use the keys in {desk.keys}" in desk.says("init")


def test_a_refreshed_repository_says_until_when_that_holds(desk: Desk) -> None:
    assert desk.run("refresh") == 0
    assert "Nodes accept it until" in desk.capsys.readouterr().err


def test_a_published_version_says_how_nodes_come_to_it(desk: Desk) -> None:
    assert desk.run("publish", str(desk.folder / VERSION)) == 0
    where = f"--repository {desk.repository} --keys {desk.keys}"
    assert f"bedplate release promote {VERSION} {STABLE} {where}\n" in desk.capsys.readouterr().err


def test_an_exchange_says_where_the_new_key_is_and_what_to_do_with_the_old(desk: Desk) -> None:
    assert desk.run("rotate", "timestamp") == 0
    told = desk.capsys.readouterr().err
    assert f"The new key of timestamp is {desk.keys}/timestamp-2.pem" in told
    assert f"The old one, {desk.keys}/timestamp-1.pem, signs nothing any more: destroy it." in told


def test_a_key_that_is_only_added_leaves_no_old_one(desk: Desk) -> None:
    assert desk.run("rotate", "timestamp", "--keep") == 0
    assert "old one" not in desk.capsys.readouterr().err


def test_only_the_key_that_was_removed_is_told_to_be_destroyed(desk: Desk) -> None:
    """The beginning of a root key's id may well be that of another role's key."""
    desk.repository, (root, other) = desk.folder / "other", begin_alike(desk.keys)
    desk.says("init")
    assert desk.run("rotate", "root", "--remove", root.keyid[:1]) == 0
    told = desk.capsys.readouterr().err
    assert f"The old one, {desk.keys}/{root.uri.removeprefix(IN_A_FILE)}, signs nothing any more" in told
    assert other.uri.removeprefix(IN_A_FILE) not in told


def begin_alike(folder: Path) -> tuple[HeldKey, HeldKey]:
    """New keys in the folder, among them one of the root that alone of its role begins as one of another role does."""
    while True:
        shutil.rmtree(folder)
        make_keys(folder)
        keys = read_keys(folder).keys
        roots, others = ([key for key in keys if (key.role == ROOT) is of_root] for of_root in (True, False))
        alone = [key for key in roots if sum(each.keyid[0] == key.keyid[0] for each in roots) == 1]
        pairs = [(key, other) for key in alone for other in others if key.keyid[0] == other.keyid[0]]
        if pairs:
            return pairs[0]


def test_a_key_that_still_signs_for_another_role_is_told_to_be_kept(desk: Desk) -> None:
    private = load_pem_private_key((desk.keys / "releases-1.pem").read_bytes(), password=None)
    public = desk.folder / "releases.pub"
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    desk.says("rotate", "channels", "--uri", f"{IN_A_FILE}releases-1.pem", "--public", str(public))
    assert desk.run("rotate", "releases") == 0
    told = desk.capsys.readouterr().err
    assert f"The old one, {desk.keys}/releases-1.pem, still signs for channels: keep it." in told
    assert "destroy" not in told


def test_a_change_that_is_none_says_so(desk: Desk) -> None:
    publish(desk, VERSION)
    desk.says("promote", VERSION, STABLE)
    assert "it is so already" in desk.says("promote", VERSION, STABLE)


def test_a_repository_is_begun_once(desk: Desk) -> None:
    assert "is a release repository already" in desk.fails("init")


def test_what_is_neither_an_image_nor_a_release_is_refused(desk: Desk) -> None:
    assert "There is no image" in desk.fails("publish", str(desk.folder / "keys"))


def test_what_is_no_repository_is_refused(desk: Desk) -> None:
    desk.repository = desk.folder / "elsewhere"
    assert "There is no release repository" in desk.fails("list", keys=False)


def test_the_repository_shows_its_channels_keys_and_expiries(desk: Desk) -> None:
    publish(desk, VERSION)
    desk.says("promote", VERSION, STABLE)
    text = desk.says("show", keys=False)
    assert all(word in text for word in ("Channels", STABLE, "2 of 3", "timestamp", "7 days"))
    roles = [row["role"] for row in desk.tells("show")["expiries"]]
    assert roles == ["root", VERSION, "channels", "releases", "targets", "snapshot", "timestamp"]


def test_a_version_shows_what_it_consists_of(desk: Desk) -> None:
    publish(desk, VERSION)
    assert "Made against" in desk.says("show", VERSION, keys=False)
    assert desk.tells("show", VERSION)["kubernetes"] == "v1.37.2"
    assert "is not published" in desk.fails("show", OLDER, keys=False)


def test_verify_ends_with_3_when_something_is_damaged_and_names_it(desk: Desk) -> None:
    publish(desk, VERSION)
    assert "as it was signed" in desk.says("verify", keys=False)
    damaged = [
        next((desk.repository / "targets/releases" / VERSION).glob(f"*.{name}")) for name in ("usr.zst", "uki.zst")
    ]
    for path in damaged:
        path.write_bytes(b"other")
    assert desk.run("verify", keys=False) == 3
    text = desk.capsys.readouterr().out
    assert all(path.name in text for path in damaged)


@pytest.mark.parametrize("role", ["targets", "releases", "channels", "snapshot", "timestamp"])
def test_a_key_is_exchanged_by_one_command(desk: Desk, role: str) -> None:
    publish(desk, VERSION)
    before = {row["role"]: row["keys"] for row in desk.tells("show")["holders"]}
    desk.says("rotate", role)
    after = {row["role"]: row["keys"] for row in desk.tells("show")["holders"]}
    assert {name for name in before if before[name] != after[name]} == {role}
    assert "as it was signed" in desk.says("verify", keys=False)


def test_which_root_key_goes_has_to_be_said(desk: Desk) -> None:
    error = desk.fails("rotate", "root")
    assert "root has 3 keys" in error
    one = desk.tells("show")["holders"][0]["keys"][0]
    desk.says("rotate", "root", "--remove", one[:8])
    assert one not in desk.tells("show")["holders"][0]["keys"]


def test_a_dry_run_of_an_exchange_makes_no_key(desk: Desk) -> None:
    before = desk.files()
    desk.says("rotate", "timestamp", "--dry-run")
    assert desk.files() == before


def test_a_key_that_lies_elsewhere_needs_both_its_halves_named(desk: Desk) -> None:
    assert "go together" in desk.fails("rotate", "timestamp", "--uri", "gcpkms:x")


def test_a_bundle_holds_what_a_channel_points_to(desk: Desk) -> None:
    publish(desk, VERSION)
    desk.says("promote", VERSION, STABLE)
    file = desk.folder / "bundle.zip"
    planned = desk.says("bundle", STABLE, "--file", str(file), "--dry-run", "--output=json", keys=False)
    assert not file.exists()
    assert planned == desk.says("bundle", STABLE, "--file", str(file), "--output=json")
    assert f"holds {VERSION} until" in planned
    payloads = [(desk.folder / VERSION / name).stat().st_size for name in ("usr.zst", "uki.zst")]
    assert file.stat().st_size > sum(payloads) > 15_000


def test_a_bundle_of_what_is_not_there_is_refused(desk: Desk) -> None:
    assert "is not published" in desk.fails("bundle", OLDER, "--file", str(desk.folder / "bundle.zip"))


def test_keys_lie_beside_the_repository_unless_told(desk: Desk) -> None:
    desk.repository = desk.folder / "other/repository"
    desk.says("init", keys=False)
    assert (desk.folder / "other/keys/root-1.pem").is_file()
    desk.says("refresh", keys=False)


@pytest.mark.parametrize("words", [("root", "--remove", "zzzz"), ("nobody",)])
def test_a_rotation_that_is_refused_makes_no_key(desk: Desk, words: tuple[str, ...]) -> None:
    before = desk.files()
    desk.fails("rotate", *words)
    assert desk.files() == before | {LOCK}


@pytest.mark.parametrize("role", ["root", "targets", "releases", "snapshot"])
def test_a_rotation_that_lacks_keys_names_them_and_makes_none(desk: Desk, role: str) -> None:
    kept_elsewhere = ["targets-1.pem"] if role == "releases" else ["root-1.pem", "root-2.pem"]
    for file in kept_elsewhere:
        (desk.keys / file).unlink()
    before, named = desk.files(), (desk.keys / "keys.json").read_bytes()
    one = desk.tells("show")["holders"][0]["keys"][2] if role == "root" else ""
    error = desk.fails("rotate", role, *(["--remove", one] if one else []))
    assert "Too few keys of" in error
    assert all(file in error for file in kept_elsewhere)
    assert (desk.files(), (desk.keys / "keys.json").read_bytes()) == (before | {LOCK}, named)


def on_a_token_that_is_away(desk: Desk, role: str) -> HeldKey:
    """Give the role a key which keys.json then says is on a token; there is none."""
    private, public = desk.keys / f"{role}.key", desk.folder / f"{role}.pub"
    key = generate_private_key(SECP256R1())
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    desk.says("rotate", role, "--uri", f"{IN_A_FILE}{private.name}", "--public", str(public))
    private.unlink()
    named = (desk.keys / "keys.json").read_text().replace(f"{IN_A_FILE}{private.name}", AWAY)
    (desk.keys / "keys.json").write_text(named)
    (held,) = [each for each in read_keys(desk.keys).keys if each.uri == AWAY]
    return held


def signed_by(desk: Desk, file: str) -> set[str]:
    document = json.loads((desk.repository / "metadata" / file).read_bytes())
    return {each["keyid"] for each in document["signatures"]}


@pytest.mark.parametrize("role", ["timestamp", "channels", "snapshot"])
def test_a_rotation_in_which_a_token_does_not_sign_makes_no_key_and_notes_none(desk: Desk, role: str) -> None:
    on_a_token_that_is_away(desk, "timestamp")
    before, named = desk.files(), (desk.keys / "keys.json").read_bytes()
    for _ in range(2):
        desk.fails("rotate", role)
        assert (desk.files(), (desk.keys / "keys.json").read_bytes()) == (before, named)


def test_a_key_that_cannot_sign_is_not_noted_as_the_new_one(desk: Desk) -> None:
    public = desk.folder / "another.pub"
    key = generate_private_key(SECP256R1()).public_key()
    public.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    before, named = desk.files(), (desk.keys / "keys.json").read_bytes()
    desk.fails("rotate", "timestamp", "--uri", AWAY, "--public", str(public))
    assert (desk.files(), (desk.keys / "keys.json").read_bytes()) == (before | {LOCK}, named)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "releases", "channels"])
def test_the_key_of_a_lost_token_is_exchanged_without_it(desk: Desk, role: str) -> None:
    publish(desk, VERSION)
    gone = on_a_token_that_is_away(desk, role)
    desk.says("rotate", role, "--lost")
    assert gone.keyid not in str(desk.tells("show")["holders"])
    assert "as it was signed" in desk.says("verify", keys=False)
    desk.says("refresh")
    assert gone.keyid not in signed_by(desk, "timestamp.json")


def test_a_lost_key_of_the_root_is_exchanged_by_the_two_that_are_left(desk: Desk) -> None:
    one = desk.tells("show")["holders"][0]["keys"][0]
    desk.says("rotate", "root", "--remove", one, "--lost")
    assert one not in signed_by(desk, "2.root.json")
    assert "as it was signed" in desk.says("verify", keys=False)


def test_a_new_key_is_kept_before_anything_that_names_it_is_written(desk: Desk) -> None:
    (desk.repository / "metadata/2.snapshot.json").mkdir()
    desk.fails("rotate", "timestamp")
    assert (desk.keys / "timestamp-2.pem").is_file()
    assert any(each.uri == f"{IN_A_FILE}timestamp-2.pem" for each in read_keys(desk.keys).keys)


def test_what_is_kept_is_not_lost(desk: Desk) -> None:
    assert "--keep removes no key" in desk.fails("rotate", "timestamp", "--keep", "--lost")


def test_a_lost_key_signs_nothing_even_where_it_is_here_and_is_missed_by_name(desk: Desk) -> None:
    one, two, _ = desk.tells("show")["holders"][0]["keys"]
    before = desk.files()
    error = desk.fails("rotate", "root", "--remove", one, "--remove", two, "--threshold", "1", "--lost")
    assert "Too few keys of root are here: 1 of the 2 that have to sign" in error
    assert one in error
    assert desk.files() == before | {LOCK}


def test_a_new_key_may_be_made_in_a_folder_that_has_none_yet(desk: Desk) -> None:
    told = desk.says("rotate", "timestamp", "--keys", str(desk.folder / "new"), "--output", "json")
    assert "Sign root version 2" in told
    assert (desk.folder / "new/timestamp-1.pem").is_file()


def test_a_bundle_of_a_channel_that_is_not_there_names_those_that_are(desk: Desk) -> None:
    publish(desk, VERSION)
    desk.says("promote", VERSION, STABLE)
    error = desk.fails("bundle", "1.37/beta", "--file", str(desk.folder / "bundle"))
    assert "There is no channel 1.37/beta." in error
    assert f"There is {STABLE}." in error


def test_a_port_that_no_computer_has_is_refused(desk: Desk) -> None:
    assert "less than or equal to 65535" in desk.fails("serve", "--port", "22222222", keys=False)
