"""The local image registry: Debian's docker-registry, and pushing to it (OCI distribution specification 1.1).

Two processes share its files. One takes images, and only this computer reaches it; the other only gives them, and
that is the one that machines and their pods reach: what a pod could push, every node would run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from bedplate.host.clock import Clock, wait_until
from bedplate.host.files import write_atomically
from bedplate.host.sockets import LOOPBACK
from bedplate.local.addresses import GATEWAY, REGISTRY_PORT
from bedplate.local.oci import MANIFEST_TYPE, Image
from bedplate.model.errors import PeerError
from bedplate.model.plans import Action, Verb
from bedplate.wire.cell import ProcessSpec

PROGRAM = Path("/usr/bin/docker-registry")
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of the registry."""

    name: str
    read_only: bool
    host: str


TAKES = Instance("registry", read_only=False, host=LOOPBACK)
"""For images from this computer; inside the cell, nothing but a relay reaches its loopback address."""
GIVES = Instance("registry-read-only", read_only=True, host=GATEWAY)
INSTANCES = (TAKES, GIVES)


def registry_config(storage: Path, *, host: str, port: int, read_only: bool) -> bytes:
    """Plain HTTP, files under `storage`, and nothing else: no cache server, no debug listener, no purging."""
    return msgspec.yaml.encode(
        {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(storage)},
                "cache": {"blobdescriptor": "inmemory"},
                "maintenance": {"uploadpurging": {"enabled": False}, "readonly": {"enabled": read_only}},
            },
            "http": {"addr": f"{host}:{port}", "headers": {"X-Content-Type-Options": ["nosniff"]}},
        }
    )


def registry_process(folder: Path, instance: Instance, *, program: Path = PROGRAM) -> ProcessSpec:
    """One process of the registry of the cluster under `folder`; `write_registry_config` puts its settings in place."""
    return ProcessSpec(
        name=instance.name,
        argv=(str(program), "serve", str(_config_file(folder, instance))),
        log=str(folder / "log" / f"{instance.name}.log"),
        restart=True,
    )


def write_registry_config(folder: Path, instance: Instance, *, port: int = REGISTRY_PORT) -> None:
    """Put the configuration of one process of the registry of the cluster under `folder` in place."""
    config = registry_config(folder / "registry", host=instance.host, port=port, read_only=instance.read_only)
    write_atomically(_config_file(folder, instance), config)


def _config_file(folder: Path, instance: Instance) -> Path:
    return folder / f"{instance.name}.yaml"


def registry_client(base_url: str) -> httpx.Client:
    """An HTTP client of the registry at `base_url` (`http://127.0.0.1:PORT`)."""
    return httpx.Client(base_url=base_url, trust_env=False, timeout=60.0)


def wait_for_registry(registry: httpx.Client, clock: Clock, *, seconds: float = 20.0) -> float:
    """Wait until the registry answers; the seconds that took. Raises PeerError after `seconds`."""
    waited = wait_until(lambda: _missing(registry), clock, seconds=seconds, every=POLL_SECONDS)
    if waited.missing:
        raise PeerError(f"The image registry did not answer within {seconds:g} s.", details=waited.missing)
    return waited.seconds


def _missing(registry: httpx.Client) -> str:
    """Why the registry does not serve yet; empty when it does."""
    try:
        registry.get("/v2/").raise_for_status()
    except httpx.HTTPError as problem:
        return str(problem) or type(problem).__name__
    return ""


def push(registry: httpx.Client, repository: str, tag: str, image: Image) -> Action:
    """Make `image` available as `repository:tag`; what is there already is not sent again.

    Raises PeerError when the registry refuses or does not answer.
    """
    action = plan_push(registry, repository, tag, image)
    if not action.runs:
        return action
    layer = image.layer
    try:
        _push_blob(registry, repository, f"sha256:{layer.digest}", layer.size, layer.chunks())
        config_digest = _digest_of_config(image)
        _push_blob(registry, repository, config_digest, len(image.config), iter((image.config,)))
        headers = {"Content-Type": MANIFEST_TYPE}
        path = f"/v2/{repository}/manifests/{tag}"
        _accepted(registry.put(path, content=image.manifest, headers=headers))
    except httpx.TransportError as problem:
        raise _silent(registry, problem) from problem
    return action


def plan_push(registry: httpx.Client, repository: str, tag: str, image: Image) -> Action:
    """Whether `image` has to be sent to be available as `repository:tag`. Raises PeerError as `push` does."""
    name = image_action(repository, tag)
    try:
        if _has_manifest(registry, repository, tag, image):
            return Action(name, Verb.SKIP, "already in the registry")
    except httpx.TransportError as problem:
        raise _silent(registry, problem) from problem
    return Action(name, Verb.RUN, f"not in the registry yet ({image.layer.size} bytes)")


def image_action(repository: str, tag: str) -> str:
    """What the sending of an image is called in a plan."""
    return f"image {repository}:{tag}"


def _silent(registry: httpx.Client, problem: httpx.TransportError) -> PeerError:
    return PeerError(f"The image registry at {registry.base_url} does not answer.", details=str(problem))


def _digest_of_config(image: Image) -> str:
    manifest = msgspec.json.decode(image.manifest)
    return str(manifest["config"]["digest"])


def _has_manifest(registry: httpx.Client, repository: str, tag: str, image: Image) -> bool:
    answer = registry.head(f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST_TYPE})
    return answer.is_success and answer.headers.get("Docker-Content-Digest") == image.digest


def _push_blob(registry: httpx.Client, repository: str, digest: str, size: int, content: Iterator[bytes]) -> None:
    if registry.head(f"/v2/{repository}/blobs/{digest}").is_success:
        return
    started = _accepted(registry.post(f"/v2/{repository}/blobs/uploads/"))
    # The place to upload to comes with a query of the registry's own, which has to stay.
    place = registry.base_url.join(started.headers["Location"]).copy_add_param("digest", digest)
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    _accepted(registry.put(place, content=content, headers=headers))


def _accepted(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise PeerError(
            f"The image registry refused {answer.request.method} {answer.request.url.path}.",
            details=f"{answer.status_code} {answer.text}",
        )
    return answer
