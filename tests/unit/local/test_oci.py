"""Images of a few files: the same files give the same digests, wherever they come from."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from bedplate.local.libraries import needed_libraries
from bedplate.local.oci import Image, ImageConfig, ImageFile, make_image
from bedplate.model.errors import MachineError, UserError
from bedplate.testing.runner import FakeRunner, completed

CONFIG = ImageConfig(("/app", "-v"), user="65532:65532", environment={"PATH": "/usr/sbin"})
FILES = (ImageFile("/usr/sbin/nft", b"nft" * 1000), ImageFile("/app", b"app"), ImageFile("/etc/x", b"", mode=0o644))


def layer(image: Image) -> bytes:
    return b"".join(image.layer.chunks())


def test_the_digest_of_these_files_never_changes() -> None:
    assert make_image(FILES, CONFIG).digest == (
        "sha256:18e85fa760652b77908fc9fc1a4a1b117145390ccf6a8692d3cec540f1eb0b1f"
    )


def test_the_order_of_files_does_not_matter() -> None:
    assert make_image(FILES, CONFIG) == make_image(FILES[::-1], CONFIG)


def test_bytes_and_files_give_the_same_image(tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(b"app")
    (tmp_path / "app").chmod(0o600)
    from_file = (FILES[0], ImageFile("/app", tmp_path / "app"), FILES[2])
    assert make_image(from_file, CONFIG).digest == make_image(FILES, CONFIG).digest


def test_the_manifest_describes_what_is_there() -> None:
    image = make_image(FILES, CONFIG)
    manifest, config = json.loads(image.manifest), json.loads(image.config)
    content = layer(image)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert manifest["layers"][0] | {"mediaType": ""} == {"mediaType": "", "digest": digest, "size": len(content)}
    assert config["rootfs"]["diff_ids"] == [digest]
    assert manifest["config"]["digest"] == f"sha256:{hashlib.sha256(image.config).hexdigest()}"
    assert config["config"] == {
        "Entrypoint": ["/app", "-v"],
        "User": "65532:65532",
        "WorkingDir": "/",
        "Env": ["PATH=/usr/sbin"],
    }


def test_the_layer_unpacks_to_the_files_and_their_folders() -> None:
    with tarfile.open(fileobj=io.BytesIO(layer(make_image(FILES, CONFIG)))) as archive:
        entries = {info.name: (info.mode, info.uid, info.mtime, info.isdir()) for info in archive}
        assert archive.extractfile("usr/sbin/nft").read() == b"nft" * 1000  # type: ignore[union-attr]  # it is a file
    assert entries == {
        "app": (0o755, 0, 0, False),
        "etc": (0o755, 0, 0, True),
        "etc/x": (0o644, 0, 0, False),
        "usr": (0o755, 0, 0, True),
        "usr/sbin": (0o755, 0, 0, True),
        "usr/sbin/nft": (0o755, 0, 0, False),
    }


@pytest.mark.parametrize("paths", [("app",), ("/../app",), ("/app", "/app"), ("/app", "/app/x")], ids=" ".join)
def test_paths_that_fit_in_no_one_tree_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(UserError):
        make_image([ImageFile(path, b"") for path in paths], CONFIG)


# Older loaders show themselves as the last line does, newer ones as the one before.
LISTED = b"""\tlinux-vdso.so.1 (0x00007fa9)
\tlibnftables.so.1 => /tree/usr/lib/x86_64-linux-gnu/libnftables.so.1 (0x00007fa9)
\tlibc.so.6 => /tree/usr/lib/x86_64-linux-gnu/libc.so.6 (0x00007fa9)
\t/lib64/ld-linux-x86-64.so.2 => /tree/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 (0x00007fa9)
\t/lib64/ld-linux-x86-64.so.2 (0x00007fa9)
"""


def test_libraries_are_those_that_the_tree_s_own_loader_names() -> None:
    runner = FakeRunner(lambda argv: completed(argv, stdout=LISTED))
    lib = Path("/tree/usr/lib/x86_64-linux-gnu")
    assert needed_libraries(runner, Path("/tree"), Path("/tree/usr/sbin/nft")) == {
        "/lib64/ld-linux-x86-64.so.2": lib / "ld-linux-x86-64.so.2",
        "/usr/lib/x86_64-linux-gnu/libc.so.6": lib / "libc.so.6",
        "/usr/lib/x86_64-linux-gnu/libnftables.so.1": lib / "libnftables.so.1",
    }


def test_a_library_that_the_tree_lacks_is_named() -> None:
    runner = FakeRunner(lambda argv: completed(argv, stdout=b"\tlibedit.so.2 => not found\n"))
    with pytest.raises(MachineError, match=r"libedit\.so\.2"):
        needed_libraries(runner, Path("/tree"), Path("/tree/usr/sbin/nft"))
