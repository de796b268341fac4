"""What a key on a token signs is what the same key signs from a file, and the PIN is the user's own affair.

The token is SoftHSM's, from the tools tree, and so is the p11-kit that a user would have installed. Marked as what
boots machines, since it needs an image.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bedplate.cli.context import places
from bedplate.host.pins import PIN
from bedplate.host.run import SystemRunner
from bedplate.image.build import Image
from bedplate.image.disk import pack_uki, sign_loader, sign_root_hash
from bedplate.image.keys import development_pair, own_signer
from bedplate.image.signer import Signer
from bedplate.image.stock import check_signature
from bedplate.image.tools import Tools, enter_namespaces
from bedplate.model.errors import MachineError
from tests.boot.test_tamper import unpack_uki

pytestmark = pytest.mark.vm

RIGHT, WRONG, OFFICER = "314159", "271828", "161803"
MOMENT = datetime(2026, 11, 24, tzinfo=UTC)
MODULE = "usr/lib/softhsm/libsofthsm2.so"
P11_KIT = """\
#!/bin/sh
exec {enter} sh -ec 'mount --rbind {tree}/usr /usr; exec /usr/bin/p11-kit "$@"' p11-kit "$@"
"""


@dataclass(frozen=True)
class Token:
    """A token with one key, as a user has it: `keys` names it, `file_keys` has the same key in a file."""

    keys: Path
    file_keys: Path
    environment: dict[str, str]

    def signer(self, pin: str = RIGHT) -> Signer:
        return own_signer(self.keys, self.environment | {PIN: pin})


@pytest.fixture
def token(tools: Tools, tmp_path: Path) -> Token:
    home, keys = tmp_path / "home", tmp_path / "keys"
    for folder in (home / "tokens", home / "bin", keys):
        folder.mkdir(parents=True)
    file_keys = development_pair(tmp_path / "file", tools)
    fill_token(home, file_keys.key, tools)
    (home / "softhsm.conf").write_text(f"directories.tokendir = {home}/tokens\n")
    (home / "bin/p11-kit").touch(mode=0o755)
    (home / "bin/p11-kit").write_text(P11_KIT.format(enter=" ".join(enter_namespaces()), tree=tools.tree))
    shutil.copyfile(file_keys.certificate, keys / "db.crt")
    (keys / "db.uri").write_text(f"pkcs11:token=release%20keys;object=db?module-path={tools.tree}/{MODULE}\n")
    environment = {"PATH": f"{home}/bin:{os.environ['PATH']}", "SOFTHSM2_CONF": f"{home}/softhsm.conf"}
    return Token(keys, file_keys.folder, environment)


def fill_token(home: Path, key: Path, tools: Tools) -> None:
    """Make a token below `home` and put the key on it."""
    (home / "inside.conf").write_text("directories.tokendir = /mnt/tokens\n")
    shutil.copyfile(key, home / "key.pem")
    env = {"SOFTHSM2_CONF": "/mnt/inside.conf"}
    label = ["--label", "release keys", "--pin", RIGHT]
    tools.run(home, ["softhsm2-util", "--init-token", "--free", "--so-pin", OFFICER, *label], env=env)
    put = ["softhsm2-util", "--import", "/mnt/key.pem", "--token", "release keys", "--pin", RIGHT]
    tools.run(home, [*put, "--label", "db", "--id", "01"], env=env)
    (home / "key.pem").unlink()


@pytest.fixture
def parts(image: Image, tmp_path: Path) -> Path:
    """What an image is signed from, and nothing that is signed."""
    folder = tmp_path / "parts"
    unpack_uki(image, folder)
    return folder


def sign_all(parts: Path, signer: Signer, tools: Tools) -> tuple[bytes, bytes, bytes]:
    """The signature of the root hash, the signed UKI and the signed loader."""
    root_hash = sign_root_hash(parts, signer, tools=tools)
    uki = pack_uki(parts, signer, kernel="6.12", tools=tools, moment=MOMENT)
    loader = sign_loader(parts, signer, tools=tools, moment=MOMENT)
    return root_hash, uki.read_bytes(), loader.read_bytes()


def test_a_token_signs_as_a_file_does_byte_for_byte(token: Token, parts: Path, tools: Tools) -> None:
    by_token = sign_all(parts, token.signer(), tools)
    assert by_token == sign_all(parts, own_signer(token.file_keys, {}), tools)


def test_what_a_token_signed_is_believed(token: Token, parts: Path, tools: Tools) -> None:
    sign_all(parts, token.signer(), tools)
    for name in ("uki.efi", "loader.efi"):
        tools.run(parts, ["sbverify", "--cert", "/mnt/db.crt", f"/mnt/{name}"])
    signature = ["-inform", "der", "-in", "/mnt/roothash.p7s", "-content", "/mnt/roothash", "-binary"]
    certificate = ["-certfile", "/mnt/db.crt", "-CAfile", "/mnt/db.crt", "-purpose", "any"]
    tools.run(parts, ["openssl", "smime", "-verify", *signature, *certificate])


def test_nothing_that_leads_to_the_token_is_left(token: Token, parts: Path, tools: Tools) -> None:
    before = {path.name for path in parts.iterdir()}
    sign_all(parts, token.signer(), tools)
    after = {path.name for path in parts.iterdir()}
    assert after - before == {"db.crt", "roothash.p7s", "uki.efi", "loader.efi"}


def test_a_wrong_pin_is_tried_once_and_told_without_being_named(token: Token, parts: Path, tools: Tools) -> None:
    with pytest.raises(MachineError, match="key on the token failed") as caught:
        sign_root_hash(parts, token.signer(WRONG), tools=tools)
    assert "A wrong PIN was tried once now" in caught.value.resolution
    assert WRONG not in str(caught.value)
    assert sign_root_hash(parts, token.signer(RIGHT), tools=tools)


def test_a_certificate_of_another_key_signs_nothing(token: Token, parts: Path, tools: Tools, tmp_path: Path) -> None:
    shutil.copyfile(development_pair(tmp_path / "other", tools).certificate, token.keys / "db.crt")
    with pytest.raises(MachineError, match="key on the token failed") as caught:
        sign_root_hash(parts, token.signer(), tools=tools)
    assert "private key does not match certificate" in caught.value.details.lower().replace("_", " ")


@pytest.fixture
def cache(image: Image, tmp_path: Path) -> Iterator[Path]:
    """The cache that this machine has, but without images: those made in it are too large to be kept."""
    del image  # all that it is made of is in the cache now
    folder = tmp_path / "cache/bedplate"
    folder.mkdir(parents=True)
    for part in places().cache.iterdir():
        if part.name not in {"images", "locks", "logs"}:
            (folder / part.name).symlink_to(part)
    yield folder
    shutil.rmtree(folder / "images")


def test_an_image_is_built_with_a_key_on_a_token(token: Token, cache: Path, tools: Tools) -> None:
    argv = [sys.executable, "-m", "bedplate.cli", "image", "build", "--keys", str(token.keys)]
    env = token.environment | {"XDG_CACHE_HOME": str(cache.parent), PIN: RIGHT}
    done = SystemRunner().run(argv, env=env, seconds=600)
    (folder,) = (cache / "images").iterdir()
    assert check_signature(folder, tools) == "valid"
    assert (folder / "db.crt").read_bytes() == (token.keys / "db.crt").read_bytes()
    assert RIGHT not in (done.stdout + done.stderr).decode()
