"""What stays in /usr is decided by rules alone."""

from pathlib import Path

import pytest

from bedplate.image.cpio import FILE, Entry, archive
from bedplate.image.usr import closure, modules_with_dependencies, parse_rules, select
from bedplate.model.errors import UserError

ROOT = Path(__file__).parents[2]
RULES = parse_rules((ROOT / "os/usr.toml").read_bytes())


def test_a_named_file_that_no_package_has_is_an_error() -> None:
    with pytest.raises(UserError, match="names files that no package"):
        select([], RULES, links={}, needed=lambda _: ())


def test_links_and_libraries_come_along_with_what_needs_them() -> None:
    needs = {"usr/bin/a": ["usr/lib/l.so"]}
    kept = closure(
        {"usr/bin/a": "named"},
        links={"usr/lib/l.so": "usr/lib/l.so.1"},
        needed=lambda path: needs.get(path, []),
    )
    assert [(item.path, item.reason) for item in kept] == [
        ("usr/bin/a", "named"),
        ("usr/lib/l.so", "needed by usr/bin/a"),
        ("usr/lib/l.so.1", "needed by usr/lib/l.so"),
    ]


def test_modules_bring_what_they_depend_on_without_their_compression() -> None:
    index = "kernel/a.ko.xz: kernel/b.ko.xz\nkernel/b.ko.xz:\nkernel/c.ko.xz:\n"
    assert modules_with_dependencies(["kernel/a*"], index) == ("kernel/a.ko", "kernel/b.ko")


def test_rules_with_an_unknown_section_are_refused() -> None:
    with pytest.raises(UserError, match="cannot be read"):
        parse_rules(b"[shells]\n")


def test_the_same_entries_give_the_same_archive() -> None:
    entries = [Entry("init", FILE | 0o755, b"x")]
    assert archive(entries) == archive(entries)
    assert archive(entries).startswith(b"070701")
    assert len(archive(entries)) % 4 == 0
