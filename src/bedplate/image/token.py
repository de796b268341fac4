"""A key that never leaves its token: a smart card, an HSM, whatever speaks PKCS #11.

The token's module runs on the user's own machine, with the libraries and settings that it was installed with.
`p11-kit server` offers it on a socket, which is all that the tools tree sees of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from bedplate.host.beside import beside
from bedplate.host.clock import Clock, SystemClock
from bedplate.host.files import write_atomically
from bedplate.host.pins import PIN, pin_in, read_pin
from bedplate.host.run import ProgramFailed
from bedplate.image.signer import CERTIFICATE, KEY
from bedplate.model.errors import MachineError, UserError
from bedplate.wire.pkcs11 import KeyUri, key_file, parse_key_uri

URI = "db.uri"
SETTINGS = Path(__file__).with_name("token.cnf")
SOCKET, LOG = "token.sock", "token.log"
SERVER = "p11-kit"
SERVES = "P11_KIT_SERVER_PID="
HERE = "/proc/self/cwd"
"""A name for the working folder that fits into the 108 bytes of sun_path wherever the folder is."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """Implements `Signer`: db.crt in `folder`, and the key that `uri` names.

    `environment` is the user's, since a module may look there for its settings.
    """

    folder: Path
    uri: KeyUri
    pin: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    clock: Clock = field(default_factory=SystemClock, repr=False)

    @property
    def certificate(self) -> Path:
        return self.folder / CERTIFICATE

    @contextmanager
    def key_lent_to(self, folder: Path) -> Iterator[Mapping[str, str]]:
        """The key's name as db.key in `folder`, and a socket there that leads to the token. The PIN is in no file."""
        lent = {KEY: key_file(self.uri), SETTINGS.name: SETTINGS.read_bytes()}
        try:
            for name, content in lent.items():
                write_atomically(folder / name, content, mode=0o600)
            with beside(
                self._server(), says=SERVES, log=folder / LOG, cwd=folder, env=self.environment, clock=self.clock
            ):
                yield {
                    "OPENSSL_CONF": f"/mnt/{SETTINGS.name}",
                    "P11_KIT_SERVER_ADDRESS": f"unix:path=/mnt/{SOCKET}",
                    PIN: self.pin,
                }
        except ProgramFailed as failed:
            raise MachineError(
                "Signing with the key on the token failed.",
                details="\n".join([failed.details, *(folder / LOG).read_text(errors="replace").splitlines()]),
                resolution=f"Look whether the token is there, and whether {URI}, {CERTIFICATE} and PIN belong together."
                "\nA wrong PIN was tried once now; most tokens lock themselves after a few.",
            ) from failed
        finally:
            for name in (*lent, SOCKET, LOG):
                (folder / name).unlink(missing_ok=True)

    def _server(self) -> list[str]:
        """The user's own p11-kit(8), serving this token alone."""
        module = ["--provider", self.uri.module] if self.uri.module else []
        return [SERVER, "server", "--foreground", "--name", f"{HERE}/{SOCKET}", *module, self.uri.token]


def token_pair(folder: Path, environment: Mapping[str, str]) -> TokenPair:
    """The certificate db.crt and the key that db.uri names. Raises `UserError` for what is wrong with either."""
    file = folder / URI
    try:
        uri = parse_key_uri(file.read_text().strip())
    except ValueError as problem:
        raise UserError(
            f"{file} does not name a private key.",
            details=str(problem),
            resolution="Write one line as `pkcs11:token=NAME;object=LABEL` (RFC 7512) into it.",
        ) from problem
    require_certificate(folder / CERTIFICATE)
    if uri.module and not Path(uri.module).is_file():
        raise UserError(f"{file} names a module that is not there.", details=uri.module)
    if not shutil.which(SERVER, path=environment.get("PATH")):
        raise MachineError(
            f"{SERVER} is not there.",
            details="It leads from the build tools to the token.",
            resolution=f"Install the package {SERVER}.",
        )
    pin = read_pin(folder / uri.pin_source) if uri.pin_source else pin_in(environment, f"{file}: ?pin-source=PATH")
    return TokenPair(folder, uri, pin, {name: value for name, value in environment.items() if name != PIN})


def require_certificate(file: Path) -> None:
    """Whether it belongs to the key is for OpenSSL to say: only the token knows the other half."""
    try:
        x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as problem:
        raise UserError(
            f"{file} is not a certificate that can be read.",
            details=str(problem),
            resolution="Put the certificate of the key on the token there, as PEM.",
        ) from problem
