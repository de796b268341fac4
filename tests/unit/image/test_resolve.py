"""What apt prints becomes a lock, and nothing is made up where it prints something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.host.run import Completed
from bedplate.image.mirrors import apt_sources, choose_mirror, site
from bedplate.image.resolve import Index, archive_path, choose, wanted_version
from bedplate.model.errors import PeerError
from bedplate.testing.runner import FakeRunner, completed

MIRROR = "http://deb.example.org/debian"
URIS = (
    "'http://deb.example.org/debian/pool/main/g/glibc/libc6_2.41-12%2bdeb13u5_amd64.deb'"
    " libc6_2.41-12+deb13u5_amd64.deb 2850108 MD5Sum:3cf6\n"
    "'http://deb.example.org/debian-security/pool/updates/main/s/su/su_4.1_amd64.deb' su_1%3a4.1_amd64.deb 9 MD5Sum:1\n"
)
STANZAS = (
    "Package: libc6\nArchitecture: amd64\nVersion: 2.41-12+deb13u5\nSize: 2850108\nSHA256: aa\n"
    "Filename: pool/main/g/glibc/libc6_2.41-12+deb13u5_amd64.deb\n\n"
    "Package: su\nArchitecture: amd64\nVersion: 1:4.1\nSize: 9\nSHA256: bb\n"
    "Filename: pool/updates/main/s/su/su_4.1_amd64.deb\nDescription: x\n Filename: pool/y\n\n"
    "Package: su\nArchitecture: amd64\nVersion: 1:4.1\nSize: 9\nSHA256: cc\nFilename: pool/main/s/su/su_4.1_amd64.deb\n"
)
RELEASE = "Origin: Debian\nCodename: trixie\nDate: Sat, 21 Nov 2026 09:15:44 UTC\n"


def apt(argv: tuple[str, ...]) -> Completed:
    return completed(argv, stdout=(URIS if argv[0] == "apt-get" else STANZAS).encode())


def test_a_resolution_has_all_that_apt_would_install(tmp_path: Path) -> None:
    runner = FakeRunner(apt)
    index = Index(MIRROR, tmp_path, runner)
    index.update()
    (tmp_path / "state/lists/x_InRelease").write_text(RELEASE)
    lock = index.resolve(["su"])
    assert [(each.name, each.version, each.sha256, each.path) for each in lock.packages] == [
        ("libc6", "2.41-12+deb13u5", "aa", "debian/pool/main/g/glibc/libc6_2.41-12+deb13u5_amd64.deb"),
        ("su", "1:4.1", "bb", "debian-security/pool/updates/main/s/su/su_4.1_amd64.deb"),
    ]
    assert lock.snapshot == "20261121T091544Z"
    assert runner.commands[-1] == ("apt-cache", "show", "libc6=2.41-12+deb13u5", "su=1:4.1")


def test_an_address_elsewhere_is_refused() -> None:
    with pytest.raises(PeerError, match="is not below the mirror"):
        archive_path("http://other.example.org/debian/pool/x.deb", MIRROR)


def test_a_package_that_the_index_does_not_describe_is_an_error() -> None:
    with pytest.raises(PeerError) as caught:
        choose(STANZAS, {"debian/pool/main/z/zsh_1_amd64.deb"})
    assert caught.value.details == "pool/main/z/zsh_1_amd64.deb"


def test_an_epoch_is_read_from_the_name_of_a_file() -> None:
    assert wanted_version("su_1%3a4.1_amd64.deb") == "su=1:4.1"


@pytest.mark.parametrize(
    ("mirror", "where"),
    [
        ("http://deb.debian.org/debian", "http://deb.debian.org/debian-security"),
        (
            "http://snapshot.debian.org/archive/debian/20261121T000000Z",
            "http://snapshot.debian.org/archive/debian-security/20261121T000000Z",
        ),
    ],
    ids=["mirror", "snapshot"],
)
def test_security_updates_come_from_beside_the_mirror(mirror: str, where: str) -> None:
    assert site(mirror, "debian-security") == where
    assert f"URIs: {where}\n" in apt_sources(mirror)


def test_signatures_are_checked_with_debians_keys_only() -> None:
    assert apt_sources(MIRROR).count("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg") == 2
    assert "Trusted" not in apt_sources(MIRROR)


def test_the_mirror_is_the_first_that_ends_like_debian() -> None:
    assert choose_mirror(["https://x/apt", "http://m/debian/", "http://n/debian"]) == "http://m/debian"
    assert choose_mirror([]) == "http://deb.debian.org/debian"
