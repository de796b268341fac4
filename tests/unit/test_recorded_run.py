"""Nodes are what the last full run has tried. `./dev test --all`, which makes the record, leaves this file out."""

from __future__ import annotations

from tests.full_run import RECORD, ROOT, digest_of, read_record

OLD = (
    "What decides what nodes are, or a test that boots them, is not as it was in the recorded full run.\n"
    "Run `./dev test --all` until it says that the run is recorded, and commit tests/boot/full-run.json along."
)


def test_the_recorded_full_run_is_of_the_files_as_they_are() -> None:
    recorded = read_record().digest if RECORD.exists() else "no run yet"
    assert recorded == digest_of(ROOT), OLD
