"""The delta of a UKI: its initrd as references into the new /usr, its kernel unpacked where a node can pack it again.

A packed kernel has nothing in common with another one: where it stays packed and differs, it is sent whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import zstandard

from bedplate.release.payload.delta.find import Edit, edits
from bedplate.release.payload.delta.format import Segment
from bedplate.release.payload.delta.frames import packed
from bedplate.release.payload.delta.places import Placed, gaps
from bedplate.release.payload.delta.script import Script
from bedplate.release.payload.delta.usr import open_image
from bedplate.wire.erofs import Extent
from bedplate.wire.unified import cpio_files, kernel_payload, sections

KERNEL_LEVEL = 22
HOW = {"initrd": Segment(1, 1, level=3, sized=True), "kernel": Segment(1, 1, level=KERNEL_LEVEL)}
"""What makes the frames: `zstd -3` of a file, and `zstd -22 --ultra` of a pipe."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A segment of a UKI with what it stands for: `kind` is `kernel`, `initrd` or empty for what was never packed."""

    segment: Segment
    opened: bytes
    kind: str = ""

    @property
    def packed(self) -> bool:
        """Whether it is a frame that stays as it is."""
        return bool(self.kind) and not self.segment.level


def cut_up(uki: bytes, kinds: Mapping[str, Segment], *, again: bool) -> tuple[Cut, ...]:
    """The segments of a UKI; frames of `kinds` are opened, and with `again` only those that can be made again."""
    frames = {}
    for kind, extent in _frames(uki).items():
        frame = uki[extent.offset : extent.end]
        cut = _opened(frame, kind, kinds[kind]) if kind in kinds else None
        fits = cut and (not again or b"".join(packed([cut.opened], cut.segment)) == frame)
        frames[extent] = cut if cut and fits else Cut(Segment(extent.size), frame, kind)
    ordered = sorted(frames, key=lambda extent: extent.offset)
    plain = {gap: Cut(Segment(gap.size), uki[gap.offset : gap.end]) for gap in gaps(ordered, len(uki))}
    return tuple(cut for _, cut in sorted([*frames.items(), *plain.items()], key=lambda item: item[0].offset))


def kernel_of(uki: bytes) -> bytes:
    """The kernel's frame; empty where there is none."""
    frame = _frames(uki).get("kernel")
    return uki[frame.offset : frame.end] if frame else b""


def _frames(uki: bytes) -> Mapping[str, Extent]:
    found = sections(uki)
    kernel = kernel_payload(uki, found[".linux"]) if ".linux" in found else None
    initrd = found.get(".initrd")
    return {kind: extent for kind, extent in (("kernel", kernel), ("initrd", initrd)) if extent}


def _opened(frame: bytes, kind: str, like: Segment) -> Cut | None:
    try:
        opened = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj().decompress(frame)
    except zstandard.ZstdError:
        return None
    return Cut(Segment(len(frame), len(opened), like.level, like.sized), opened, kind)


def write_uki(
    script: Script, old: bytes, new: bytes, usr: memoryview, *, kernel: bool
) -> tuple[Sequence[Segment], Sequence[Segment]]:
    """All commands that make the UKI `new` of `old` and the new /usr; returns how base and part are cut up.

    The old initrd stays packed: the new one is made of the new /usr. With `kernel`, kernels are compared unpacked.
    """
    kinds = {kind: how for kind, how in HOW.items() if kernel or kind != "kernel"}
    before = cut_up(old, {kind: how for kind, how in kinds.items() if kind != "initrd"}, again=False)
    after = cut_up(new, kinds, again=True)
    base = memoryview(b"".join(cut.opened for cut in before))
    for cut in after:
        if cut.kind == "initrd" and not cut.packed:
            write_initrd(script, cut.opened, usr, len(base))
        elif cut.packed:
            _write_packed(script, before, cut)
        else:
            source = Placed(base, _places(before, cut.kind))
            for edit in edits(source.read(), cut.opened):
                source.edit(script, edit)
    return [cut.segment for cut in before], [cut.segment for cut in after]


def _write_packed(script: Script, before: Sequence[Cut], cut: Cut) -> None:
    same = [old for old in before if old.kind == cut.kind and old.opened == cut.opened]
    if same:
        script.copy(_places(before, cut.kind)[0].offset, len(cut.opened))
    else:
        script.edit(Edit(None, cut.opened))


def _places(cuts: Sequence[Cut], kind: str) -> Sequence[Extent]:
    """Where the segments of a kind lie when all are open."""
    ends = list(accumulate(len(cut.opened) for cut in cuts))
    return [
        Extent(end - len(cut.opened), len(cut.opened)) for cut, end in zip(cuts, ends, strict=True) if cut.kind == kind
    ]


def write_initrd(script: Script, archive: bytes, usr: memoryview, shift: int) -> None:
    """The archive as references to the files of /usr, which begins at `shift` of the base; what is not in it as new."""
    image = open_image(usr)
    files = {f"usr/{file.path}": image.content(file) for file in image.files}
    done = 0
    for path, place in cpio_files(archive):
        content = files.get(path)
        if content and place.size and content.read() == archive[place.offset : place.end]:
            script.edit(Edit(None, archive[done : place.offset]))
            Placed(usr, content.extents, shift).copy(script, 0, place.size)
            done = place.end
    script.edit(Edit(None, archive[done:]))
