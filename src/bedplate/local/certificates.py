"""Making X.509 certificates (RFC 5280) and judging those that are there. No files and no clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
"""Ten years, as kubeadm has it: a new authority means that every machine has to join again."""
LEAF_LIFE = timedelta(days=365)
"""One year, as kubeadm has it."""
RENEW_BEFORE = timedelta(days=60)
"""A certificate with less than this left is made anew the next time somebody asks for it."""
BACKDATE = timedelta(hours=1)
"""Certificates are valid from this long ago: a guest's clock may lag until it is set."""

PURPOSES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate names. `purposes` are out of `client` and `server`; an authority has none."""

    common_name: str
    organizations: tuple[str, ...] = ()
    purposes: frozenset[str] = frozenset()
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @property
    def is_authority(self) -> bool:
        return not self.purposes

    @property
    def name(self) -> x509.Name:
        organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in self.organizations]
        return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, self.common_name)])

    @property
    def alternatives(self) -> list[x509.GeneralName]:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in self.dns_names]
        return [*names, *(x509.IPAddress(ip_address(address)) for address in self.addresses)]


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its private key; the key does not show when the pair is printed."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return private_pem(self.key)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key: made in a millisecond where RSA takes a tenth of a second, and accepted everywhere here."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def parse_pair(certificate: bytes, key: bytes) -> Pair:
    """The pair from PEM. Raises ValueError or TypeError for what is not one of ours."""
    private = serialization.load_pem_private_key(key, password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("not an elliptic curve key")
    return Pair(x509.load_pem_x509_certificate(certificate), private)


def issue(subject: Subject, issuer: Pair | None, *, now: datetime) -> Pair:
    """A new key and its certificate, signed by `issuer`, or by itself where there is none."""
    key = new_key()
    life = AUTHORITY_LIFE if subject.is_authority else LEAF_LIFE
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject.name)
        .issuer_name(issuer.certificate.subject if issuer else subject.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + life)
        .add_extension(
            x509.BasicConstraints(ca=subject.is_authority, path_length=0 if subject.is_authority else None),
            critical=True,
        )
        .add_extension(_key_usage(subject), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer.key if issuer else key).public_key()),
            critical=False,
        )
    )
    if subject.purposes:
        purposes = [PURPOSES[each] for each in sorted(subject.purposes)]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if subject.alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(subject.alternatives), critical=False)
    return Pair(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def _key_usage(subject: Subject) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=subject.is_authority,
        crl_sign=subject.is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def why_replace(pair: Pair, subject: Subject, issuer: Pair | None, *, now: datetime) -> str:
    """Why `pair` no longer serves `subject`; empty while it does."""
    certificate = pair.certificate
    if certificate.public_key() != pair.key.public_key():
        return "the key belongs to another certificate"
    try:
        certificate.verify_directly_issued_by((issuer or pair).certificate)
    except (InvalidSignature, ValueError, TypeError):
        return "its authority changed"
    if certificate.subject != subject.name or _alternatives(certificate) != set(subject.alternatives):
        return "the names in it changed"
    if certificate.not_valid_before_utc > now:
        return "it is not valid yet by this machine's clock"
    left = certificate.not_valid_after_utc - now
    return f"{max(left.days, 0)} days are left" if left < RENEW_BEFORE else ""


def _alternatives(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return set(extension.value)
