"""What systemd-boot makes of the UKIs on the ESP: which it lists, in which order, and how it counts tries.

A model of src/boot/boot.c of systemd 257.13; the numbers are those of its functions. Nobody is at the console and no
EFI variable names another entry, so the first of the list boots.

1. `config_load_type2_entries`: every file `EFI/Linux/*.efi`, any case, that begins with neither `.` nor `auto-`.
2. `boot_entry_add_type2`: if it is a PE file with a section .osrel that names something. A file that begins with
   anything but `MZ` is passed over in silence.
3. `boot_entry_parse_tries`: `NAME+LEFT-DONE.efi` or `NAME+LEFT.efi` is counted, and its id is `NAME.efi`.
4. `boot_entry_compare`: entries with no try left come last; then by sort key, newest version, newest id, and where
   both are counted the one with more tries left, then the one tried less.
5. `boot_entry_bump_counters`: before it starts a counted entry it renames the file, also one with no try left. It
   goes on when that fails.
6. `image_start`: when the firmware refuses the image (Secure Boot: Access Denied) or cannot read it, systemd-boot
   ends and gives the machine back to the firmware. It does not take the next entry. So nothing may be listed that the
   firmware would refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cmp_to_key
from itertools import takewhile

_COUNTED = re.compile(r"(?P<stem>.*)\+(?P<left>[0-9]+)(?:-(?P<done>[0-9]+))?\.efi", re.ASCII | re.IGNORECASE)
_VALID = re.compile(r"[^0-9A-Za-z~.^-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """A UKI that the loader lists. `left` and `done` count tries; `left` is None for one without a counter."""

    file: str
    version: str
    root_hash: str
    left: int | None = None
    done: int = 0
    sort_key: str = "bedplate"

    @property
    def stem(self) -> str:
        """The file's name without counter and suffix."""
        counted = _COUNTED.fullmatch(self.file)
        return counted["stem"] if counted else self.file[: -len(".efi")]

    @property
    def id(self) -> str:
        """Lower case only without a counter: so the loader has it."""
        return f"{self.stem}.efi" if self.left is not None else self.file.lower()

    @property
    def is_proven(self) -> bool:
        """Blessed after a healthy boot, or set back by hand after that (`choose_other`); counting never ends at 0-0."""
        return self.left is None or (self.left, self.done) == (0, 0)

    @property
    def is_given_up(self) -> bool:
        """Started until no try was left, or for want of another, and never healthy then."""
        return self.left == 0 and self.done > 0


def is_candidate(file: str) -> bool:
    """Whether the loader looks into a file of that name."""
    name = file.lower()
    return name.endswith(".efi") and not name.startswith((".", "auto-"))


def entry_of(file: str, *, version: str, root_hash: str, sort_key: str = "bedplate") -> Entry:
    """The entry for a UKI with these words in it, under that name."""
    counted = _COUNTED.fullmatch(file)
    if counted is None:
        return Entry(file, version, root_hash, sort_key=sort_key)
    return Entry(file, version, root_hash, int(counted["left"]), int(counted["done"] or 0), sort_key)


def in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """As the loader lists them; those that it does not tell apart stay in the order of the directory."""
    return tuple(sorted(entries, key=cmp_to_key(_compare)))


def choice(entries: Iterable[Entry]) -> Entry | None:
    """What boots next."""
    return next(iter(in_order(entries)), None)


def after_start(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries once the loader has started its choice: that one has a try less."""
    ordered = in_order(entries)
    return tuple(_bumped(each) if n == 0 else each for n, each in enumerate(ordered))


def file_name(stem: str, *, left: int | None = None, done: int = 0) -> str:
    """The name of a UKI on the ESP; the stem is its version."""
    counter = "" if left is None else f"+{left}-{done}" if done else f"+{left}"
    return f"{stem}{counter}.efi"


def compare_versions(one: str, other: str) -> int:
    """Below, at or above 0 when `one` is older, the same or newer (UAPI Group, Version Format Specification)."""
    while True:
        one, other = (_VALID.sub("", each, count=1) for each in (one, other))
        if one[:1] == "~" or other[:1] == "~":
            if one[:1] != other[:1]:
                return -1 if one[:1] == "~" else 1
            one, other = one[1:], other[1:]
        if not one or not other:
            return _sign(one, other)
        for mark in "-^.":
            if one[:1] == mark or other[:1] == mark:
                if one[:1] != other[:1]:
                    return -1 if one[:1] == mark else 1
                one, other = one[1:], other[1:]
        digits = one[:1].isdigit() or other[:1].isdigit()
        kind = str.isdigit if digits else str.isalpha
        first, second = ("".join(takewhile(kind, each)) for each in (one, other))
        result = _compare_numbers(first, second) if digits else _compare_words(first, second)
        if result:
            return result
        one, other = one[len(first) :], other[len(second) :]


def _compare(one: Entry, other: Entry) -> int:
    steps = (
        _sign(one.left == 0, other.left == 0),
        _sign(not one.sort_key, not other.sort_key),
        _sign(one.sort_key, other.sort_key),
        -compare_versions(one.version, other.version) if one.sort_key and other.sort_key else 0,
        -compare_versions(one.id, other.id),
    )
    for each in steps:
        if each:
            return each
    if one.left is None or other.left is None:
        return 0
    return -_sign(one.left, other.left) or _sign(one.done, other.done)


def _bumped(entry: Entry) -> Entry:
    if entry.left is None:
        return entry
    left, done = max(entry.left - 1, 0), entry.done + 1
    return replace(entry, file=file_name(entry.stem, left=left, done=done), left=left, done=done)


def _compare_numbers(one: str, other: str) -> int:
    """A number is newer than none; leading zeros do not count."""
    if bool(one) != bool(other):
        return _sign(bool(one), bool(other))
    one, other = one.lstrip("0"), other.lstrip("0")
    return _sign(len(one), len(other)) or _sign(one, other)


def _compare_words(one: str, other: str) -> int:
    shared = min(len(one), len(other))
    return _sign(one[:shared], other[:shared]) or _sign(len(one), len(other))


def _sign(one: str | int, other: str | int) -> int:
    return (one > other) - (one < other)  # type: ignore[operator]
