"""Where things lie in a repository, and what its own fields are called. Known to those who read and who sign."""

from __future__ import annotations

from bedplate.model.digests import Sha256

METADATA = "metadata"
TARGETS = "targets"
TIMESTAMP_FILE = f"{METADATA}/timestamp.json"
RELEASES = "releases"
CHANNELS = "channels"
MADE = "x-bedplate-made"
"""In a timestamp: when it was signed (RFC 3339, UTC). TUF has the time of expiry alone."""
BUNDLE = "x-bedplate-bundle"
"""In a timestamp: that it was made for a bundle, and so may be valid for long. No server may present it as its own."""
ROOT_VERSION = "x-bedplate-root"
"""In a timestamp: the newest root when it was signed, so that one that is gone is missed."""
RELEASE_PATTERN = f"{RELEASES}/*/*"
CHANNEL_PATTERNS = (f"{CHANNELS}/*/*", "withdrawn.json")


def metadata_file(role: str, version: int) -> str:
    """Where a version of a role's metadata lies; the timestamp alone has no version in its name."""
    return f"{METADATA}/{version}.{role}.json"


def target_file(path: str, digest: Sha256) -> str:
    """Where the file of a target lies: named by its digest, so another content never takes its place."""
    folder, _, name = path.rpartition("/")
    return f"{TARGETS}/{folder}/{digest}.{name}" if folder else f"{TARGETS}/{digest}.{name}"
