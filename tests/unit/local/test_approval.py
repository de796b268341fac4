"""Which kubelets get which serving certificates: every factor against every other."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import product

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from bedplate.local.approval import SIGNER, Decision, judge_serving_request
from bedplate.local.certificates import new_key
from bedplate.wire.csr import Condition, Metadata, SigningRequest, SigningSpec, SigningStatus

MACHINES = {"n1": "10.75.0.11", "n2": "10.75.0.12"}
KEY = new_key()
Names = tuple[x509.GeneralName, ...]

NAME, OTHER_NAME = x509.DNSName("n1"), x509.DNSName("kubernetes")
ADDRESS, OTHER_ADDRESS = x509.IPAddress(ip_address("10.75.0.11")), x509.IPAddress(ip_address("10.75.0.12"))
RIGHT_USAGES = ("digital signature", "server auth")

# Each factor: its value -> whether it is right.
NAMES: dict[Names, bool] = {
    (NAME, ADDRESS): True,
    (ADDRESS,): True,
    (NAME,): True,
    (): False,
    (NAME, OTHER_NAME): False,
    (NAME, OTHER_ADDRESS): False,
    (NAME, x509.UniformResourceIdentifier("spiffe://n1")): False,
    (NAME, x509.RFC822Name("n1@example.org")): False,
}
SUBJECTS = {
    ("system:node:n1", ("system:nodes",)): True,
    ("system:node:n2", ("system:nodes",)): False,
    ("system:node:n1", ("system:nodes", "system:masters")): False,
    ("system:node:n1", ()): False,
}
SENDERS = {
    ("system:node:n1", ("system:nodes", "system:authenticated")): True,
    ("system:node:n2", ("system:nodes",)): False,
    ("system:node:n1", ("system:authenticated",)): False,
    ("system:bootstrap:abcdef", ("system:bootstrappers",)): False,
}
USAGES = {
    RIGHT_USAGES: True,
    (*RIGHT_USAGES, "key encipherment"): True,
    ("server auth",): False,
    (*RIGHT_USAGES, "client auth"): False,
    (): False,
}


def pem(common_name: str, organizations: tuple[str, ...], names: Names) -> bytes:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def request(
    *,
    content: bytes | None = None,
    signer: str = SIGNER,
    sender: tuple[str, tuple[str, ...]] = ("system:node:n1", ("system:nodes",)),
    usages: tuple[str, ...] = RIGHT_USAGES,
    conditions: tuple[Condition, ...] = (),
) -> SigningRequest:
    if content is None:
        content = pem("system:node:n1", ("system:nodes",), (NAME, ADDRESS))
    spec = SigningSpec(content, signer, sender[0], sender[1], usages)
    return SigningRequest(Metadata("csr-1"), spec, SigningStatus(conditions))


@pytest.mark.parametrize("names", NAMES, ids=lambda names: "+".join(str(each.value) for each in names) or "none")
@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_a_certificate_is_approved_only_when_every_factor_is_right(
    names: Names, subject: tuple[str, tuple[str, ...]]
) -> None:
    content = pem(*subject, names)
    for sender, usages in product(SENDERS, USAGES):
        right = all((NAMES[names], SUBJECTS[subject], SENDERS[sender], USAGES[usages]))
        if sender[0] == subject[0] == "system:node:n2":
            continue  # n2 asking for n2 is right in itself and told below
        verdict = judge_serving_request(request(content=content, sender=sender, usages=usages), MACHINES)
        assert verdict.decision is (Decision.APPROVE if right else Decision.DENY), verdict.reasons
        assert verdict.reasons


def test_one_machine_does_not_get_the_names_of_another() -> None:
    content = pem("system:node:n2", ("system:nodes",), (NAME, ADDRESS))
    verdict = judge_serving_request(request(content=content, sender=("system:node:n2", ("system:nodes",))), MACHINES)
    assert verdict.decision is Decision.DENY
    assert verdict.reasons == (
        "it names n1, which is not n2 at 10.75.0.12",
        "it names 10.75.0.11, which is not n2 at 10.75.0.12",
    )


def test_every_fault_is_named_not_the_first_alone() -> None:
    content = pem("n1", (), (NAME,))
    verdict = judge_serving_request(request(content=content, sender=("eve", ()), usages=("client auth",)), MACHINES)
    assert verdict.reasons == (
        "eve is no node",
        "its subject is CN=n1, not CN=eve,O=system:nodes",
        "it lacks the usage digital signature, server auth",
        "it asks for the usage client auth",
    )


def test_a_machine_that_is_not_known_yet_waits() -> None:
    assert judge_serving_request(request(), {}).decision is Decision.WAIT


def test_what_an_unknown_machine_may_never_ask_for_is_denied_at_once() -> None:
    assert judge_serving_request(request(usages=("client auth",)), {}).decision is Decision.DENY


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
def test_what_is_no_request_is_denied(content: bytes) -> None:
    assert judge_serving_request(request(content=content), MACHINES).decision is Decision.DENY


@pytest.mark.parametrize("state", ["Approved", "Denied", "Failed"])
def test_what_is_decided_is_left(state: str) -> None:
    assert judge_serving_request(request(conditions=(Condition(state),)), MACHINES).decision is Decision.LEAVE


def test_another_signer_is_left() -> None:
    other = "kubernetes.io/kube-apiserver-client-kubelet"
    assert judge_serving_request(request(signer=other), MACHINES).decision is Decision.LEAVE


def test_a_request_signed_by_another_key_is_denied() -> None:
    good = x509.load_pem_x509_csr(pem("system:node:n1", ("system:nodes",), (NAME,)))
    der = bytearray(good.public_bytes(serialization.Encoding.DER))
    position = der.index(b"n1", der.index(b"n1") + 2)  # the alternative name, after the subject
    der[position : position + 2] = b"n2"
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    verdict = judge_serving_request(request(content=forged), MACHINES)
    assert "the request is not signed by its own key" in verdict.reasons
