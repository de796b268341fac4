"""Debian packages small enough to make in a test (deb(5))."""

from __future__ import annotations

import io
import tarfile


def ar_member(name: str, data: bytes) -> bytes:
    """One member of an ar archive."""
    return f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)


def deb(control: str) -> bytes:
    """A binary package with that control file and no content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        member = tarfile.TarInfo("./control")
        member.size = len(control.encode())
        tar.addfile(member, io.BytesIO(control.encode()))
    members = (("debian-binary", b"2.0\n"), ("control.tar.xz", packed.getvalue()), ("data.tar.xz", b""))
    return b"!<arch>\n" + b"".join(ar_member(name, data) for name, data in members)
