"""What is signed, and how long the key lies about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedplate.image.disk import SIGNATURE_BYTES, Verity, command_line, signature_partition
from bedplate.image.keys import SigningPair

ROOT = Path(__file__).parents[2]
VERITY = Verity("ab" * 16 + "cd" * 16, b"signed")


def test_the_command_line_ends_with_the_root_hash_and_its_signature() -> None:
    assert command_line("# a comment\nroot=tmpfs\n\nquiet\n", VERITY) == (
        f"root=tmpfs quiet usrhash={VERITY.root_hash}"
        " systemd.verity_usr_options=panic-on-corruption,root-hash-signature=base64:c2lnbmVk"
    )


def test_the_command_line_fits_what_the_kernel_takes() -> None:
    signature_of_2048_bits = bytes(426)
    words = (ROOT / "os/cmdline").read_text()
    assert len(command_line(words, Verity(VERITY.root_hash, signature_of_2048_bits))) < 2048


def test_the_halves_of_the_root_hash_name_the_partitions() -> None:
    assert (VERITY.data_uuid.hex, VERITY.hash_uuid.hex) == ("ab" * 16, "cd" * 16)


def test_the_signature_partition_is_padded_json() -> None:
    content = signature_partition(VERITY, "ef" * 32)
    assert len(content) == SIGNATURE_BYTES
    assert json.loads(content.rstrip(b"\0")) == {
        "rootHash": VERITY.root_hash,
        "certificateFingerprint": "ef" * 32,
        "signature": "c2lnbmVk",
    }


def fail_with_key(pair: SigningPair, folder: Path, seen: list[tuple[str, int]]) -> None:
    with pair.key_lent_to(folder):
        lent = folder / "db.key"
        seen.append((lent.read_text(), lent.stat().st_mode & 0o777))
        raise ZeroDivisionError


def test_a_lent_key_is_private_and_gone_even_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/db.key").write_text("secret")
    seen: list[tuple[str, int]] = []
    with pytest.raises(ZeroDivisionError):
        fail_with_key(SigningPair(tmp_path / "own"), tmp_path, seen)
    assert seen == [("secret", 0o600)]
    assert not (tmp_path / "db.key").exists()
