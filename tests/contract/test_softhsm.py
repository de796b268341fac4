"""Release keys on a token: SoftHSM's, used by the command as people type it, and judged by nodes.

Each command is a process of its own: a module reads its settings once.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurve, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bedplate.host.clock import SystemClock
from bedplate.host.http import Route, SystemHttp
from bedplate.host.pins import PIN
from bedplate.host.run import SystemRunner
from bedplate.host.serve import serving
from bedplate.release.publish.tokens import MODULE
from bedplate.release.trust.repository import Repository
from bedplate.testing.releases import VERSION, prepared_release

PROGRAM = shutil.which("softhsm2-util")
LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
RIGHT, WRONG, OFFICER = "314159", "271828", "161803"
LABEL = "release keys"
STABLE = "1.37/stable"
KEYS: dict[str, tuple[int, EllipticCurve]] = {"timestamp": (1, SECP256R1()), "channels": (18, SECP384R1())}
"""What is on the token: for which role, under which number, on which curve."""
ANOTHER = 3
"""A key that is on the token as well."""

pytestmark = pytest.mark.skipif(not PROGRAM, reason="softhsm2 is not installed: ./dev setup does it")


@dataclass(frozen=True)
class Desk:
    """Where somebody publishes from, with a token in reach."""

    folder: Path
    keys: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    def release(self, *words: str, code: int = 0) -> str:
        """What the command says, which has to end with `code`."""
        where = ["--repository", str(self.repository), *(["--keys", str(self.keys)] if words[0] != "verify" else [])]
        argv = [sys.executable, "-m", "bedplate.cli", "release", *words, *where]
        done = SystemRunner().run(argv, env=self.environment, ok=range(256), seconds=120)
        said = (done.stdout + done.stderr).decode()
        assert done.code == code, said
        assert not any(each in said for each in (RIGHT, WRONG, "Traceback"))
        return said

    def with_environment(self, **change: str) -> Desk:
        return replace(self, environment={k: v for k, v in {**self.environment, **change}.items() if v != "-"})

    def with_uri(self, before: str, after: str) -> Desk:
        """With copies of the keys, of which a name is another one."""
        keys = self.folder / f"keys of {after}".replace("/", "_")
        shutil.copytree(self.keys, keys)
        text = (keys / "keys.json").read_text()
        assert before in text
        (keys / "keys.json").write_text(text.replace(before, after))
        return replace(self, keys=keys)

    def held(self, role: str) -> list[dict[str, str]]:
        return [each for each in json.loads((self.keys / "keys.json").read_text())["keys"] if each["role"] == role]

    def shown(self) -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in self.repository.rglob("*") if file.is_file()}


def put_key(folder: Path, environment: dict[str, str], number: int, curve: EllipticCurve) -> Path:
    """A new key on the token; a file with its public half."""
    key, private, public = generate_private_key(curve), folder / "private.pem", folder / f"{number}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    named = ["--label", f"key {number}", "--id", f"{number:02x}"]
    SystemRunner().run(
        ["softhsm2-util", "--import", private, "--token", LABEL, "--pin", RIGHT, *named], env=environment
    )
    private.unlink()
    return public


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A repository whose timestamp and channels are signed by the token, and all else by files."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "tokens").mkdir()
    (folder / "softhsm.conf").write_text(f"directories.tokendir = {folder}/tokens\n")
    settings = {"SOFTHSM2_CONF": f"{folder}/softhsm.conf"}
    label = ["--label", LABEL, "--pin", RIGHT, "--so-pin", OFFICER]
    SystemRunner().run(["softhsm2-util", "--init-token", "--free", *label], env=settings)
    desk = Desk(folder, folder / "keys", {**settings, MODULE: str(LIBRARY), PIN: RIGHT})
    put_key(folder, settings, ANOTHER, SECP256R1())
    desk.release("init")
    for role, (number, curve) in KEYS.items():
        public = put_key(folder, settings, number, curve)
        desk.release("rotate", role, "--uri", f"hsm:{number}?label=release+keys", "--public", str(public))
        (desk.keys / f"{role}-1.pem").unlink()
    return desk


def test_nodes_take_what_a_token_signed(desk: Desk) -> None:
    desk.release("publish", str(prepared_release(desk.folder / "prepared", VERSION)))
    desk.release("promote", VERSION, STABLE)
    assert "as it was signed" in desk.release("verify")
    root, clock = (desk.repository / "metadata/1.root.json").read_bytes(), SystemClock()
    with serving(desk.repository) as port:
        http = SystemHttp(Route({}), clock)
        node = Repository(root, desk.folder / "node", [f"http://127.0.0.1:{port}"], http, clock.now)
        release = node.release(node.channel(STABLE).version)
        assert b"".join(node.fetch(release.payloads[0])) == b"usr" * 5000


def test_it_is_the_key_on_the_token_that_signs(desk: Desk) -> None:
    desk.release("refresh")
    (key,) = [each for each in desk.held("timestamp") if each["uri"].startswith("hsm:")]
    stamp = json.loads((desk.repository / "metadata/timestamp.json").read_bytes())
    assert [each["keyid"] for each in stamp["signatures"]] == [key["keyid"]]


def test_the_pin_may_lie_in_a_file(desk: Desk) -> None:
    pin = desk.folder / "the pin"
    pin.touch(mode=0o600)
    pin.write_text(f"{RIGHT}\n")
    uri = "hsm:1?label=release+keys"
    named = desk.with_uri(uri, f"{uri}&pin-source={desk.folder}/the%20pin")
    named.with_environment(**{PIN: "-"}).release("refresh")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({PIN: WRONG}, 2, ["The token refuses the PIN for hsm:1", "PinIncorrect", "A wrong one was tried once now"]),
        ({PIN: "-"}, 2, ["There is no PIN for the token", f"Put it into the environment as {PIN}"]),
        ({MODULE: "-"}, 2, ["No PKCS #11 module is named", f"{MODULE}=/usr/lib/"]),
        ({MODULE: "/absent.so"}, 2, ["names a module that is not there", "/absent.so"]),
        ({MODULE: "/etc/hostname"}, 3, ["The token of hsm:1?label=release+keys cannot be used", "file too short"]),
    ],
    ids=["wrong pin", "no pin", "no module", "absent module", "no library"],
)
def test_what_stands_between_a_user_and_the_token_is_told_and_nothing_is_changed(
    desk: Desk, change: dict[str, str], code: int, words: list[str]
) -> None:
    before = desk.shown()
    said = desk.with_environment(**change).release("refresh", code=code)
    assert [each for each in words if each not in said] == []
    assert desk.shown() == before


@pytest.mark.parametrize(
    ("uri", "code", "words"),
    [
        ("hsm:1?label=other", 3, ["There is no token with hsm:1?label=other", "No PKCS#11 token found", "Plug it in"]),
        ("hsm:99?label=release+keys", 3, ["There is no token with hsm:99", "could not find ECDSA private key"]),
        (f"hsm:{ANOTHER}?label=release+keys", 2, [f"hsm:{ANOTHER}?label=release+keys is not the private half"]),
    ],
    ids=["no token", "no key", "another key"],
)
def test_a_name_that_leads_elsewhere_is_told_and_nothing_is_changed(
    desk: Desk, uri: str, code: int, words: list[str]
) -> None:
    before = desk.shown()
    said = desk.with_uri("hsm:1?label=release+keys", uri).release("refresh", code=code)
    assert [each for each in words if each not in said] == []
    assert desk.shown() == before


def test_the_right_pin_works_after_a_wrong_one(desk: Desk) -> None:
    desk.with_environment(**{PIN: WRONG}).release("refresh", code=2)
    desk.release("refresh")


def test_while_the_token_is_away_no_exchange_leaves_a_key(desk: Desk) -> None:
    before, held = desk.shown(), {file.name: file.read_bytes() for file in desk.keys.iterdir()}
    for change in ({MODULE: "-"}, {PIN: WRONG}, {"SOFTHSM2_CONF": f"{desk.folder}/none.conf"}):
        away = desk.with_environment(**change)
        away.release("rotate", "timestamp", code=2 if {MODULE, PIN} & change.keys() else 3)
        assert desk.shown() == before
        assert {file.name: file.read_bytes() for file in desk.keys.iterdir()} == held


def test_a_key_that_the_token_does_not_have_is_not_noted(desk: Desk) -> None:
    public = desk.folder / "nowhere.pub"
    key = generate_private_key(SECP256R1()).public_key()
    public.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    before, named = desk.shown(), (desk.keys / "keys.json").read_bytes()
    desk.release("rotate", "channels", "--uri", "hsm:77?label=release+keys", "--public", str(public), code=3)
    assert (desk.shown(), (desk.keys / "keys.json").read_bytes()) == (before, named)


def test_a_lost_token_is_done_without(desk: Desk) -> None:
    """Last, since the token holds keys of two roles, and none of them afterwards."""
    lost = desk.with_environment(**{MODULE: "-", PIN: "-"})
    lost.release("rotate", "timestamp", code=2)
    for role in KEYS:
        assert "The new key of" in lost.release("rotate", role, "--lost")
    assert "as it was signed" in lost.release("verify")
    lost.release("refresh")
    stamp = json.loads((desk.repository / "metadata/timestamp.json").read_bytes())
    on_the_token = {each["keyid"] for role in KEYS for each in desk.held(role) if each["uri"].startswith("hsm:")}
    assert not on_the_token & {each["keyid"] for each in stamp["signatures"]}
