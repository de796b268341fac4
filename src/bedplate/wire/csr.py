"""Kubernetes' certificate signing requests (certificates.k8s.io/v1), as far as an approver reads them."""

from __future__ import annotations

import binascii

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


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """`creation_timestamp` is RFC 3339 in UTC, so that times sort as text."""

    name: str
    creation_timestamp: str = ""


class SigningRequest(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: SigningSpec
    status: SigningStatus = SigningStatus()


def read_request(document: object) -> SigningRequest:
    """The request in a decoded JSON document. Raises `msgspec.ValidationError` for another form."""
    return msgspec.convert(document, SigningRequest)


class _List(msgspec.Struct, frozen=True):
    items: tuple[SigningRequest, ...]


def read_requests(text: bytes) -> tuple[SigningRequest, ...]:
    """The requests in a list as the API server sends it in JSON. Raises `msgspec.DecodeError` for another form."""
    return msgspec.json.decode(text, type=_List).items


def is_from_node(request: SigningRequest, node: str) -> bool:
    """Whether the kubelet of `node` asks for its client certificate: its common name is in the request's DER."""
    body = b"".join(line for line in request.spec.request.splitlines() if not line.startswith(b"-----"))
    name = f"system:node:{node}".encode()
    # The length before it, or a node named like the beginning of another's name would match.
    return bytes([len(name)]) + name in binascii.a2b_base64(body)
