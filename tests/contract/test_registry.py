"""Debian's docker-registry takes our images and gives them back byte for byte."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bedplate.host.children import SystemChildren
from bedplate.host.clock import SystemClock
from bedplate.local.oci import MANIFEST_TYPE, Image, ImageConfig, ImageFile, make_image
from bedplate.local.registry import (
    PROGRAM,
    push,
    registry_client,
    registry_process,
    wait_for_registry,
    write_registry_config,
)
from bedplate.model.errors import PeerError
from bedplate.model.plans import Verb

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="Debian's docker-registry is not installed")

IMAGE = make_image([ImageFile("/app", os.urandom(3_000_000))], ImageConfig(("/app",)))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, free_port: int) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("registry")
    write_registry_config(folder, host="127.0.0.1", port=free_port)
    spec = registry_process(folder)
    children = SystemChildren()
    number = children.start(spec.argv, cwd=Path(spec.cwd), env=spec.env, log=Path(spec.log))
    try:
        with registry_client(f"http://127.0.0.1:{free_port}") as client:
            wait_for_registry(client, SystemClock())
            yield client
    finally:
        children.kill(number)
        os.waitpid(number, 0)


@pytest.fixture(scope="module")
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def fetched(registry: httpx.Client, repository: str, tag: str, *, asked_as: str) -> tuple[bytes, list[bytes]]:
    """Manifest and blobs as containerd asks a mirror for them."""
    headers = {"Accept": MANIFEST_TYPE}
    query = {"ns": asked_as}
    manifest = registry.get(f"/v2/{repository}/manifests/{tag}", headers=headers, params=query).raise_for_status()
    parts = [json.loads(manifest.content)["config"], *json.loads(manifest.content)["layers"]]
    return manifest.content, [
        registry.get(f"/v2/{repository}/blobs/{part['digest']}", params=query).raise_for_status().content
        for part in parts
    ]


def content(image: Image) -> tuple[bytes, list[bytes]]:
    return image.manifest, [image.config, b"".join(image.layer.chunks())]


def test_what_is_pushed_comes_back(registry: httpx.Client) -> None:
    assert push(registry, "pause", "3.10.1", IMAGE).verb is Verb.RUN
    assert fetched(registry, "pause", "3.10.1", asked_as="registry.k8s.io") == content(IMAGE)


def test_what_is_there_is_not_sent_again(registry: httpx.Client) -> None:
    push(registry, "twice", "1", IMAGE)
    assert push(registry, "twice", "1", IMAGE).verb is Verb.SKIP


def test_a_tag_moves_to_a_new_image(registry: httpx.Client) -> None:
    newer = make_image([ImageFile("/app", b"newer")], ImageConfig(("/app",)))
    push(registry, "moving", "1", IMAGE)
    assert push(registry, "moving", "1", newer).verb is Verb.RUN
    assert fetched(registry, "moving", "1", asked_as="bedplate.local") == content(newer)


def test_a_file_that_changes_while_it_is_sent_is_refused(registry: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(b"before")
    image = make_image([ImageFile("/app", tmp_path / "app")], ImageConfig(("/app",)))
    (tmp_path / "app").write_bytes(b"behind")
    with pytest.raises(PeerError, match="refused PUT"):
        push(registry, "changed", "1", image)


def test_a_name_that_the_registry_refuses_is_its_error(registry: httpx.Client) -> None:
    with pytest.raises(PeerError, match="refused POST"):
        push(registry, "Not Allowed", "1", IMAGE)


def test_nobody_there_is_an_error_of_the_peer() -> None:
    with registry_client("http://127.0.0.1:1") as nobody, pytest.raises(PeerError, match="does not answer"):
        push(nobody, "pause", "1", IMAGE)
