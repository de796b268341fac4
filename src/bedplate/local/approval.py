"""Whether a kubelet gets the serving certificate it asks for: a decision with its reasons.

Kubernetes itself never approves these, since it cannot know which names and addresses a machine has
the right to. Whoever made the machines can: the approver is told each machine's name and address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from cryptography import x509
from cryptography.x509.oid import NameOID

from bedplate.wire.csr import SigningRequest, SigningSpec

SIGNER = "kubernetes.io/kubelet-serving"
NODE_PREFIX, NODES = "system:node:", "system:nodes"
NEEDED_USAGES = frozenset({"digital signature", "server auth"})
ALLOWED_USAGES = NEEDED_USAGES | {"key encipherment"}


class Decision(Enum):
    """`LEAVE`: not ours to decide, or decided already. `WAIT`: may be right once the machine is known."""

    APPROVE = "approve"
    DENY = "deny"
    WAIT = "wait"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, and everything that speaks for it."""

    decision: Decision
    reasons: tuple[str, ...]


def judge_serving_request(request: SigningRequest, known_machines: Mapping[str, str]) -> Verdict:
    """Judge `request`; `known_machines` has each machine's address by its name."""
    if request.spec.signer_name != SIGNER:
        return Verdict(Decision.LEAVE, (f"it is for {request.spec.signer_name}",))
    if request.status.conditions:
        return Verdict(Decision.LEAVE, (f"it is {request.status.conditions[0].type} already",))
    if wrong := tuple(_wrong_whoever_asks(request.spec)):
        return Verdict(Decision.DENY, wrong)
    name = request.spec.username.removeprefix(NODE_PREFIX)
    if name not in known_machines:
        return Verdict(Decision.WAIT, (f"no machine {name} is known",))
    if wrong := tuple(_wrong_names(request.spec, name, known_machines[name])):
        return Verdict(Decision.DENY, wrong)
    return Verdict(Decision.APPROVE, (f"it names {name} at {known_machines[name]} and nothing else",))


def _wrong_whoever_asks(spec: SigningSpec) -> Iterator[str]:
    """What no machine may ask for."""
    if not spec.username.startswith(NODE_PREFIX) or NODES not in spec.groups:
        yield f"{spec.username or 'nobody'} is no node"
    try:
        yield from _wrong_form(x509.load_pem_x509_csr(spec.request), spec.username)
    except ValueError:
        yield "the request is not PKCS #10 in PEM"
    yield from _wrong_usages(spec.usages)


def _wrong_form(asked: x509.CertificateSigningRequest, username: str) -> Iterator[str]:
    if not asked.is_signature_valid:
        yield "the request is not signed by its own key"
    subject = sorted((each.oid.dotted_string, str(each.value)) for each in asked.subject)
    right = [(NameOID.COMMON_NAME, username), (NameOID.ORGANIZATION_NAME, NODES)]
    if subject != sorted((oid.dotted_string, value) for oid, value in right):
        yield f"its subject is {asked.subject.rfc4514_string() or 'empty'}, not CN={username},O={NODES}"


def _wrong_usages(usages: tuple[str, ...]) -> Iterator[str]:
    missing, excess = NEEDED_USAGES - set(usages), set(usages) - ALLOWED_USAGES
    if missing:
        yield f"it lacks the usage {', '.join(sorted(missing))}"
    if excess:
        yield f"it asks for the usage {', '.join(sorted(excess))}"


def _wrong_names(spec: SigningSpec, name: str, address: str) -> Iterator[str]:
    asked = x509.load_pem_x509_csr(spec.request)
    try:
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        yield "it names no host and no address"
        return
    for each in names:
        match each:
            case x509.DNSName(value=value) if value == name:
                pass
            case x509.IPAddress(value=value) if str(value) == address:
                pass
            case _:
                yield f"it names {each.value}, which is not {name} at {address}"
