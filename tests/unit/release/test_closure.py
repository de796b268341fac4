"""What the client pulls in: it runs as root on nodes, so nothing that signs, prints or serves."""

from __future__ import annotations

import sys

from bedplate.host.run import SystemRunner

CLIENT = "bedplate.release.trust.bundle"
PACKAGES = {"bedplate", "msgspec", "tuf", "securesystemslib", "urllib3", "cryptography", "typing_extensions"}
LOOK = f"""
import sys
sys.modules["pkcs11"] = None  # nodes have none; securesystemslib loads it for signers where it is installed
before = set(sys.modules)
import {CLIENT}
print(*(set(sys.modules) - before))
"""


def loaded() -> set[str]:
    return set(SystemRunner().run([sys.executable, "-c", LOOK]).text.split())


def test_the_client_needs_these_packages_and_no_others() -> None:
    found = {name.partition(".")[0] for name in loaded()} - set(sys.stdlib_module_names)
    assert {name for name in found if not name.startswith("_")} <= PACKAGES


def test_the_client_brings_nothing_that_publishes_or_payloads() -> None:
    ours = {name for name in loaded() if name.startswith("bedplate.release.")}
    assert {name for name in ours if not name.startswith("bedplate.release.trust")} == set()
