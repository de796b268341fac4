"""Debian's docker-registry takes our images and gives them back byte for byte."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bedplate.host.children import SystemChildren
from bedplate.host.clock import SystemClock
from bedplate.local.oci import MANIFEST_TYPE, Image, ImageConfig, ImageFile, make_image
from bedplate.local.registry import (
    GIVES,
    PROGRAM,
    TAKES,
    Instance,
    push,
    registry_client,
    registry_process,
    wait_for_registry,
    write_registry_config,
)
from bedplate.model.errors import PeerError
from bedplate.model.plans import Verb
from bedplate.testing.home import free_port

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="Debian's docker-registry is not installed")

IMAGE = make_image([ImageFile("/app", os.urandom(3_000_000))], ImageConfig(("/app",)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(folder: Path) -> Iterator[httpx.Client]:
    with running(folder, TAKES) as client:
        yield client


@pytest.fixture(scope="module")
def given(folder: Path) -> Iterator[httpx.Client]:
    """What machines and pods reach of the registry."""
    with running(folder, replace(GIVES, host=TAKES.host)) as client:
        yield client


@contextmanager
def running(folder: Path, instance: Instance) -> Iterator[httpx.Client]:
    port = free_port()
    write_registry_config(folder, instance, port=port)
    spec = registry_process(folder, instance)
    children = SystemChildren()
    number = children.start(spec.argv, cwd=Path(spec.cwd), env=spec.env, log=Path(spec.log))
    try:
        with registry_client(f"http://{instance.host}:{port}") as client:
            wait_for_registry(client, SystemClock())
            yield client
    finally:
        children.kill(number)
        os.waitpid(number, 0)


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


def test_machines_get_what_was_pushed(registry: httpx.Client, given: httpx.Client) -> None:
    push(registry, "given", "1", IMAGE)
    assert fetched(given, "given", "1", asked_as="bedplate.local") == content(IMAGE)


def test_machines_get_the_newer_image_of_a_tag_that_moved(registry: httpx.Client, given: httpx.Client) -> None:
    newer = make_image([ImageFile("/app", b"newest")], ImageConfig(("/app",)))
    for image in (IMAGE, newer):
        push(registry, "shifting", "1", image)
        assert fetched(given, "shifting", "1", asked_as="bedplate.local") == content(image)


def test_machines_and_pods_cannot_push(registry: httpx.Client, given: httpx.Client) -> None:
    other = make_image([ImageFile("/app", b"of a pod")], ImageConfig(("/app",)))
    push(registry, "kube-proxy", "1", IMAGE)
    with pytest.raises(PeerError, match="refused POST") as caught:
        push(given, "kube-proxy", "1", other)
    assert caught.value.details.startswith("405")
    manifest = given.put("/v2/kube-proxy/manifests/1", content=IMAGE.manifest, headers={"Content-Type": MANIFEST_TYPE})
    assert manifest.status_code == 405
    assert given.delete(f"/v2/kube-proxy/manifests/{IMAGE.digest}").status_code == 405


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
