"""Kubernetes' certificate signing requests (certificates.k8s.io/v1), as far as an approver reads them."""

from __future__ import annotations

import msgspec


class Condition(msgspec.Struct, frozen=True):
    """`type` is `Approved`, `Denied` or `Failed`."""

    type: str


class SigningSpec(msgspec.Struct, frozen=True, rename="camel"):
    """`request` is PKCS #10 in PEM; `username` and `groups` are who sent it, filled in by the API server."""

    request: bytes
    signer_name: str
    username: str = ""
    groups: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()


class SigningStatus(msgspec.Struct, frozen=True):
    conditions: tuple[Condition, ...] = ()


class Metadata(msgspec.Struct, frozen=True):
    name: str


class SigningRequest(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: SigningSpec
    status: SigningStatus = SigningStatus()


def read_request(document: object) -> SigningRequest:
    """The request in a decoded JSON document. Raises `msgspec.ValidationError` for another form."""
    return msgspec.convert(document, SigningRequest)
