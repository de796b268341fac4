"""The images that a local cluster runs, each made of a program that is here already."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from bedplate.host.run import Runner
from bedplate.local.libraries import needed_libraries
from bedplate.local.oci import Image, ImageConfig, ImageFile, make_image

PAUSE_TAG = "3.10.1"
"""What kubelet 1.37 and containerd 2.4 ask for (`registry.k8s.io/pause`)."""
NOBODY = "65532:65532"
Makers = Mapping[tuple[str, str], Callable[[], Image]]
"""How each image is made, by its repository and tag."""


def image_makers(
    programs: Mapping[str, Path], runner: Runner, *, debian: Path, kubernetes: str, coredns: str
) -> Makers:
    """The images that every cluster runs, and the demo's. `programs` are by tool name, `debian` is a tree with nft.

    `kubernetes` and `coredns` are versions, with which the images are tagged.
    """
    catatonit = Path(shutil.which("catatonit") or "/usr/bin/catatonit")
    return {
        ("pause", PAUSE_TAG): lambda: pause_image(catatonit),
        ("coredns", coredns): lambda: coredns_image(programs["coredns"]),
        ("kube-proxy", kubernetes): lambda: kube_proxy_image(programs["kube-proxy"], runner, root=debian),
        ("agnhost", kubernetes): lambda: demo_image(programs["agnhost"]),
    }


def pause_image(catatonit: Path) -> Image:
    """What holds a pod's namespaces and reaps its zombies: a static catatonit, which has a mode for it."""
    return _program("/catatonit", catatonit, "-P", user=NOBODY)


def coredns_image(coredns: Path) -> Image:
    return _program("/coredns", coredns, user=NOBODY)


def demo_image(agnhost: Path) -> Image:
    """Kubernetes' own test program: a web server (`netexec`), a client (`connect`) and more."""
    return _program("/agnhost", agnhost, user=NOBODY)


def kube_proxy_image(kube_proxy: Path, runner: Runner, *, root: Path) -> Image:
    """kube-proxy with the `nft` it calls and what that loads, both taken from the Debian tree at `root`."""
    nft = root / "usr/sbin/nft"
    libraries = needed_libraries(runner, root, nft)
    files = (
        ImageFile("/kube-proxy", kube_proxy),
        ImageFile("/usr/sbin/nft", nft),
        *(ImageFile(path, file) for path, file in libraries.items()),
    )
    return make_image(files, ImageConfig(("/kube-proxy",), environment={"PATH": "/usr/sbin"}))


def _program(path: str, program: Path, *arguments: str, user: str) -> Image:
    return make_image((ImageFile(path, program),), ImageConfig((path, *arguments), user=user))
