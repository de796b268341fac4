"""From an image to a prepared release, with a maker whose payloads are full ones of one frame."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard

from bedplate.cli.release_image import Making, prepare_image, sbom_before
from bedplate.image.manifest import File, Manifest, Package, write_manifest
from bedplate.image.sbom import changes, read_sbom
from bedplate.image.verity import MAGIC, SUPERBLOCK, verity_of
from bedplate.model.digests import sha256
from bedplate.model.errors import MachineError, UserError
from bedplate.release.publish.changes import begin, publish
from bedplate.release.publish.edit import Edit, carry_out
from bedplate.release.publish.keys import Keyring, make_keys
from bedplate.release.publish.prepared import read_prepared
from bedplate.release.publish.shown import read_shown
from bedplate.testing.clock import START
from bedplate.testing.releases import OLDER, VERSION, part_of
from bedplate.testing.store import MemoryStore
from bedplate.testing.uki import make_uki
from bedplate.wire.release import Part, PartName, Payload, PayloadKind, folder_of

ROOT_HASH = sha256(b"root")
IDENTITY = uuid.UUID("7b1a4e0c-5f1d-4c5e-9d55-0f6f2c0b7ed1")
MAKING = Making({"kubelet": "v1.37.2", "etcd": "v3.6.5"}, "v1.37.2", notes="Mends a kernel.\n", minimum=OLDER)


class PlainMaker:
    """Implements `bedplate.release.publish.prepared.Maker`."""

    def describe(self, source: Path) -> Part:
        return part_of(source.read_bytes())

    def payloads(self, name: PartName, source: Path, folder: Path, version: str) -> Sequence[Payload]:
        data = zstandard.ZstdCompressor().compress(source.read_bytes())
        (folder / f"{name}.zst").write_bytes(data)
        path = f"{folder_of(version)}/{name}.zst"
        kind, frames = PayloadKind.FULL, (len(data),)
        return [Payload(part=name, kind=kind, path=path, size=len(data), sha256=sha256(data), frames=frames)]


def image(folder: Path, version: str = VERSION, *, openssl: str = "3.5.1-1+deb13u1", debug: bool = False) -> Path:
    folder.mkdir()
    write_manifest(
        folder,
        Manifest(
            version=version,
            kernel="6.12.118+deb13-amd64",
            root_hash=ROOT_HASH,
            certificate_sha256="",
            command_line="",
            debug=debug,
            partitions=(),
            packages=(Package("openssl", openssl, 10), Package("libc6", "2.41-12", 20)),
            executables=(),
            units={},
            files=(File("usr/bin/kubelet", 5, owner="kubelet"),),
        ),
    )
    (folder / "usr.erofs").write_bytes(b"usr" * 5000)
    (folder / "uki.efi").write_bytes(make_uki(version, ROOT_HASH))
    head = SUPERBLOCK.pack(MAGIC, 1, 1, IDENTITY.bytes, b"sha256", 4096, 4096, 4, 32, b"\xab" * 32)
    (folder / "usr.verity").write_bytes(head.ljust(4096, b"\0"))
    (folder / "usr.verity-sig").write_bytes(b'{"rootHash": ""}'.ljust(16384, b"\0"))
    return folder


def test_the_manifest_says_what_the_image_is(tmp_path: Path) -> None:
    made = prepare_image(image(tmp_path / "image"), tmp_path / "out", MAKING, before=None, maker=PlainMaker())
    release, files = read_prepared(tmp_path / "out")
    assert release == made
    assert (release.version, release.kubernetes, release.minimum) == (VERSION, "v1.37.2", OLDER)
    assert (release.verity.root_hash, release.verity.salt) == (ROOT_HASH, "ab" * 32)
    assert release.verity.uuid == str(IDENTITY)
    assert len(release.verity.signature) == 16384
    assert {path.rpartition("/")[2] for path in files} == {
        "changes.json",
        "notes.md",
        "sbom.json",
        "uki.zst",
        "usr.zst",
    }


def test_the_bill_of_materials_names_packages_and_programs_from_source(tmp_path: Path) -> None:
    prepare_image(image(tmp_path / "image"), tmp_path / "out", MAKING, before=None, maker=PlainMaker())
    document = json.loads((tmp_path / "out/sbom.json").read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    names = {each["name"]: each.get("purl") for each in document["components"]}
    assert names == {
        "kubelet": None,
        "libc6": "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie",
        "openssl": "pkg:deb/debian/openssl@3.5.1-1%2Bdeb13u1?arch=amd64&distro=trixie",
    }


def test_the_same_image_makes_the_same_release(tmp_path: Path) -> None:
    source = image(tmp_path / "image")
    for name in ("a", "b"):
        prepare_image(source, tmp_path / name, MAKING, before=None, maker=PlainMaker())
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("a", "b")]
    assert files[0] == files[1]


def test_changes_are_told_against_the_release_before(tmp_path: Path) -> None:
    store = MemoryStore()
    make_keys(tmp_path / "keys")
    keys = Keyring([tmp_path / "keys"])
    carry_out(begin(keys, START).seal(keys), store)
    assert sbom_before(store, read_shown(store), VERSION) is None
    old = image(tmp_path / "old", OLDER, openssl="3.5.1-1")
    making = Making(MAKING.built, "v1.37.2")
    prepare_image(old, tmp_path / "out", making, before=None, maker=PlainMaker())
    edit = Edit(read_shown(store), START, keys.days)
    publish(edit, *read_prepared(tmp_path / "out"))
    carry_out(edit.seal(keys), store)
    before = sbom_before(store, read_shown(store), VERSION)
    prepare_image(image(tmp_path / "image"), tmp_path / "new", MAKING, before=before, maker=PlainMaker())
    told = json.loads((tmp_path / "new/changes.json").read_text())
    change = {"name": "openssl", "old": "3.5.1-1", "new": "3.5.1-1+deb13u1"}
    assert told == {"since": OLDER, "components": [change]}


def test_what_came_and_what_went_are_changes(tmp_path: Path) -> None:
    prepare_image(image(tmp_path / "image"), tmp_path / "out", MAKING, before=None, maker=PlainMaker())
    bill = read_sbom((tmp_path / "out/sbom.json").read_bytes())
    less = type(bill)(bill.bom_format, bill.spec_version, bill.version, bill.metadata, bill.components[1:])
    assert [(each.old, each.new) for each in changes(less, bill).components] == [("", "v1.37.2")]
    assert [(each.old, each.new) for each in changes(bill, less).components] == [("v1.37.2", "")]


def test_a_development_image_is_not_published(tmp_path: Path) -> None:
    source = image(tmp_path / "image", debug=True)
    with pytest.raises(UserError, match="is a development image"):
        prepare_image(source, tmp_path / "out", MAKING, before=None, maker=PlainMaker())


def test_another_kubernetes_than_the_images_is_refused(tmp_path: Path) -> None:
    source = image(tmp_path / "image")
    with pytest.raises(UserError, match=r"carries Kubernetes 1\.37"):
        prepare_image(source, tmp_path / "out", Making({}, "v1.36.1"), before=None, maker=PlainMaker())


def test_an_image_whose_tree_is_damaged_is_refused(tmp_path: Path) -> None:
    source = image(tmp_path / "image")
    (source / "usr.verity").write_bytes(b"\0" * 4096)
    with pytest.raises(MachineError, match="is not a whole image"):
        verity_of(source)
