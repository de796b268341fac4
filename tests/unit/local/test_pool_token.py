"""One bootstrap token serves all machines for as long as it is good."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bedplate.local.pools.token import GOOD_FOR, LEAST, have_token
from bedplate.testing.clock import FakeClock


def test_a_token_is_made_known_before_it_is_given_out(tmp_path: Path) -> None:
    known: list[bytes] = []
    token = have_token(tmp_path / "token.json", FakeClock(), apply=known.append)
    (manifest,) = (yaml.safe_load(each) for each in known)
    assert (manifest["stringData"]["token-id"], manifest["stringData"]["token-secret"]) == (token.id, token.secret)
    assert manifest["stringData"]["expiration"] == "2026-11-25T06:00:00Z"


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    have_token(tmp_path / "token.json", FakeClock(), apply=lambda _: None)
    assert (tmp_path / "token.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("left", "same"), [(LEAST.total_seconds(), True), (LEAST.total_seconds() - 1, False)])
def test_it_is_used_again_while_an_hour_of_it_is_left(tmp_path: Path, left: float, *, same: bool) -> None:
    clock, known = FakeClock(), list[bytes]()
    first = have_token(tmp_path / "token.json", clock, apply=known.append)
    clock.sleep(GOOD_FOR.total_seconds() - left)
    assert (have_token(tmp_path / "token.json", clock, apply=known.append) == first) is same
    assert len(known) == (1 if same else 2)


def test_one_that_cannot_be_read_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "token.json").write_bytes(b"{")
    token = have_token(tmp_path / "token.json", FakeClock(), apply=lambda _: None)
    assert have_token(tmp_path / "token.json", FakeClock(), apply=lambda _: None) == token


def test_one_that_nobody_was_told_of_is_not_kept(tmp_path: Path) -> None:
    def refuse(manifest: bytes) -> None:
        del manifest
        raise ConnectionError

    with pytest.raises(ConnectionError):
        have_token(tmp_path / "token.json", FakeClock(), apply=refuse)
    assert list(tmp_path.iterdir()) == []
