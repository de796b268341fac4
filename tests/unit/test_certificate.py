import base64
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from bedplate.wire.certificate import Validity, read_validity

KEY = ec.generate_private_key(ec.SECP256R1())
SECONDS = st.integers(
    int(datetime(1950, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
)
TIMES = SECONDS.map(lambda second: datetime.fromtimestamp(second, tz=UTC))


def certificate(start: datetime, end: datetime, name: str = "n1") -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, KEY.public_key(), 2**150)
    signed = builder.not_valid_before(start).not_valid_after(end).sign(KEY, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


@given(st.tuples(TIMES, TIMES).map(sorted), st.text("abc", min_size=1, max_size=60))
def test_the_times_read_are_those_written(times: list[datetime], name: str) -> None:
    assert read_validity(certificate(times[0], times[1], name)) == Validity(times[0], times[1])


def test_a_key_around_the_certificate_is_passed_over() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    key = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    assert read_validity(key + certificate(start, end) + key) == Validity(start, end)


def test_something_else_is_no_certificate() -> None:
    with pytest.raises(ValueError, match="no certificate"):
        read_validity(b"hello")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_are_a_value_error(content: bytes) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(content) + b"\n-----END CERTIFICATE-----\n"
    with pytest.raises(ValueError, match=r"."):
        read_validity(pem)
