"""What was carried to a machine on a stick: one file of a volume that is read without being mounted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bedplate.host.media import SystemMedia
from bedplate.model.errors import MachineError
from bedplate.testing.fat import make_volume

BUNDLE = bytes(range(256)) * 1000
STICK = "LABEL=BEDPLATE"


def plugged_in(root: Path) -> Path:
    device = root / "dev/disk/by-label/BEDPLATE"
    device.parent.mkdir(parents=True)
    device.write_bytes(make_volume(1 << 19, {"bundle.zip": BUNDLE}))
    return device


def test_the_file_of_a_stick_is_read_at_any_place(tmp_path: Path) -> None:
    plugged_in(tmp_path)
    with SystemMedia(tmp_path).open(STICK) as opened:
        assert opened.read() == BUNDLE
        opened.seek(-1000, os.SEEK_END)
        assert opened.read() == BUNDLE[-1000:]


def test_a_stick_that_is_pulled_out_while_it_is_read_is_told(tmp_path: Path) -> None:
    device = plugged_in(tmp_path)
    with SystemMedia(tmp_path).open(STICK) as opened:
        assert opened.read(10) == BUNDLE[:10]
        opened.seek(200_000)
        os.truncate(device, 0)
        with pytest.raises(MachineError, match=r"BEDPLATE cannot be read at \d+"):
            opened.read(10)
