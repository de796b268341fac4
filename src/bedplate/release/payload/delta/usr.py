"""The delta of an erofs image: file by file, and what is left of the image as one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bedplate.model.digests import Sha256, sha256
from bedplate.release.payload.delta.find import edits
from bedplate.release.payload.delta.places import Placed, gaps
from bedplate.release.payload.delta.script import Feed, Script
from bedplate.wire.erofs import Extent, File, read_files

_MODULES = re.compile(r"lib/modules/([^/]+)/")


@dataclass(frozen=True, slots=True)
class Image:
    """An image as its files and the rest: inodes, names, and the last bytes of files."""

    data: memoryview
    files: tuple[File, ...]
    blocks: tuple[Extent, ...]

    @property
    def rest(self) -> Placed:
        return Placed(self.data, tuple(gaps(self.blocks, len(self.data))))

    def content(self, file: File) -> Placed:
        return Placed(self.data, (file.blocks, file.tail))


def open_image(data: memoryview) -> Image:
    """The image; one that is no erofs which can be read has no files, and all of it is rest."""
    try:
        files = read_files(data)
    except ValueError:
        files = ()
    return Image(data, files, apart(file.blocks for file in files))


def apart(extents: Iterable[Extent]) -> tuple[Extent, ...]:
    """In their order, each once, without those that reach into one before."""
    found: list[Extent] = []
    for extent in sorted({each for each in extents if each.size}, key=lambda each: each.offset):
        if not found or extent.offset >= found[-1].end:
            found.append(extent)
    return tuple(found)


def write_usr(script: Script, old: memoryview, new: memoryview) -> None:
    """All commands that make the image `new` of the image `old`."""
    before, after = open_image(old), open_image(new)
    pairs = Pairs(before, kernel_names(before.files, after.files))
    owner = {file.blocks: file for file in reversed(after.files)}
    old_rest = before.rest
    feed = Feed(edits(old_rest.read(), after.rest.read()))
    for extent in regions(after):
        if extent in owner:
            write_file(script, pairs, after, owner[extent])
        else:
            feed.take(extent.size, lambda edit: old_rest.edit(script, edit))


def regions(image: Image) -> Sequence[Extent]:
    """All of the image in its order."""
    return sorted([*image.blocks, *image.rest.extents], key=lambda extent: extent.offset)


def write_file(script: Script, pairs: Pairs, image: Image, file: File) -> None:
    """The blocks of a file; its last bytes are part of the rest."""
    content = image.content(file)
    data = content.read()
    source = pairs.same(data, file.path)
    if source is not None:
        source.copy(script, 0, file.blocks.size)
        return
    other = pairs.like(file.path)
    if other is None:
        Feed(edits(b"", data)).take(file.blocks.size, script.edit)
        return
    Feed(edits(other.read(), data)).take(file.blocks.size, lambda edit: other.edit(script, edit))


class Pairs:
    """Which file of the old image a new one is made of."""

    def __init__(self, image: Image, renamed: Mapping[str, str]) -> None:
        self._image, self._renamed = image, renamed
        self._by_path = {file.path: file for file in image.files}
        self._by_digest: dict[Sha256, File] = {}
        for file in image.files:
            self._by_digest.setdefault(sha256(image.content(file).read()), file)

    def same(self, data: bytes, path: str) -> Placed | None:
        """A file with the same content, wherever it was: that of the same path if it can be."""
        file = self._by_path.get(self._old_name(path))
        if file is not None and self._image.content(file).read() == data:
            return self._image.content(file)
        file = self._by_digest.get(sha256(data))
        return self._image.content(file) if file else None

    def like(self, path: str) -> Placed | None:
        """The file of the same path."""
        file = self._by_path.get(self._old_name(path))
        return self._image.content(file) if file and file.blocks.size + file.tail.size else None

    def _old_name(self, path: str) -> str:
        for new, old in self._renamed.items():
            path = path.replace(new, old)
        return path


def kernel_names(old: Iterable[File], new: Iterable[File]) -> Mapping[str, str]:
    """The folder of the new kernel's modules and that of the old one, when each image has one kernel."""
    before, after = kernels(old), kernels(new)
    if len(before) != 1 or len(after) != 1 or before == after:
        return {}
    return {f"lib/modules/{after.pop()}/": f"lib/modules/{before.pop()}/"}


def kernels(files: Iterable[File]) -> set[str]:
    return {match[1] for file in files if (match := _MODULES.match(file.path))}
