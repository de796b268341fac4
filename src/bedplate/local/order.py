"""What a local cluster is made of, kept in its folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bedplate.local.cell.client import find_cell
from bedplate.local.foreign.record import Foreign
from bedplate.local.machines.qemu import Accelerator
from bedplate.model.errors import OurError, UserError

API_PORT = 6443
REGISTRY_RELAY = 5075
RECORD = "cluster.json"


class ClusterOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a cluster is made of; kept in its folder, so that later commands find all of it there.

    `programs` are by tool name; `manifests` is the folder of add-ons; `debian` a Debian tree that has nft;
    `image` the folder of the node image that new pools get, `images` the folders of all that it has had, by version;
    `firmware` is a cache of firmware variables. `releases` is the folder of a release repository that is served to the
    machines, `agent` the settings of their agent (TOML).
    `kubernetes` and `coredns` are versions, with which images are tagged. With `foreign`, the control plane is
    somebody else's, and none of ours is started.
    """

    programs: dict[str, Path]
    manifests: Path
    debian: Path
    image: Path
    image_version: str
    images: dict[str, Path] = {}
    firmware: Path
    kubernetes: str
    coredns: str
    accelerator: Accelerator
    name: str = "local"
    api_port: int = API_PORT
    registry_port: int = REGISTRY_RELAY
    foreign: Foreign | None = None
    releases: Path | None = None
    agent: str = ""

    def image_of(self, version: str) -> Path:
        """The folder of an image that the cluster has had. Raises `UserError` when it has not, or it is gone."""
        folder = {**self.images, self.image_version: self.image}.get(version)
        if folder is None or not folder.is_dir():
            there = sorted({self.image_version, *(name for name, path in self.images.items() if path.is_dir())})
            raise UserError(
                f"The local cluster has no image {version}.",
                details=f"It has {', '.join(there)}.",
                resolution=f"Build it and run `bedplate cluster up`, or add a pool, which gets {self.image_version}.",
            )
        return folder

    @property
    def server(self) -> str:
        """The API server's URL on this computer."""
        return self.foreign.server if self.foreign else f"https://127.0.0.1:{self.api_port}"


def kubeconfig_of(folder: Path, order: ClusterOrder) -> Path:
    """The administrator's kubeconfig of the cluster in `folder`, be it up or not."""
    return order.foreign.kubeconfig if order.foreign else folder / "admin.yaml"


def read_order(folder: Path) -> ClusterOrder:
    """Raises `OurError` when what is kept cannot be read."""
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=ClusterOrder, dec_hook=_decode_path)
    except (OSError, msgspec.MsgspecError) as problem:
        raise OurError(
            f"{folder / RECORD} does not tell what the cluster is made of.",
            details=str(problem),
            resolution="Remove the cluster with `bedplate cluster down --all`, then make it anew.",
        ) from problem


def ports_for(folder: Path, *, api: int | None, registry: int | None) -> tuple[int, int]:
    """The ports asked for, where none is those that the cluster of `folder` has had, else the usual ones.

    Raises `UserError` when the cluster is up on others: what is open cannot be moved.
    """
    had = _ports_before(folder)
    ports = (api or had[0], registry or had[1])
    if ports != had and find_cell(folder / "cell"):
        raise UserError(
            f"The local cluster is up with API port {had[0]} and registry port {had[1]}.",
            resolution="Leave the ports out to go on with it, or stop it first with `bedplate cluster down`.",
        )
    return ports


def _ports_before(folder: Path) -> tuple[int, int]:
    if not (folder / RECORD).exists():
        return API_PORT, REGISTRY_RELAY
    order = read_order(folder)
    return order.api_port, order.registry_port


def images_before(folder: Path) -> dict[str, Path]:
    """The images by version that the cluster of `folder` has had and that are still there."""
    if not (folder / RECORD).is_file():
        return {}
    order = read_order(folder)
    had = {**order.images, order.image_version: order.image}
    return {version: path for version, path in had.items() if path.is_dir()}


def _decode_path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)
