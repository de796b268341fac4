"""A web server for a folder of static files, for development: it knows ranges and ETags, and nothing else."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import BinaryIO

from bedplate.host.files import file_sha256
from bedplate.model.errors import MachineError

PIECE_BYTES = 1 << 18
RANGE = re.compile(r"bytes=([0-9]{1,18})-", re.ASCII)


def server(
    folder: Path, address: str, port: int, *, log: Callable[[str], None] = lambda _: None
) -> ThreadingHTTPServer:
    """A server that is bound and not yet serving. Raises `MachineError` when the port is taken.

    `log` gets a line for each answer in the Common Log Format, with the bytes of its body that went out.
    """

    class Handler(_Handler):
        root = str(folder)

        def tell(self, line: str) -> None:
            log(line)

    try:
        return _Server((address, port), Handler)
    except OSError as problem:
        raise MachineError(
            f"{address}:{port} cannot be listened on.", details=str(problem), resolution="Choose another --port."
        ) from problem


@contextmanager
def serving(
    folder: Path, address: str = "127.0.0.1", port: int = 0, *, log: Callable[[str], None] = lambda _: None
) -> Iterator[int]:
    """Serve for as long as the block lasts; gives the port."""
    with server(folder, address, port, log=log) as opened:
        thread = Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield opened.server_address[1]
        finally:
            opened.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that go away half-way; each has a connection of its own."""


class _Handler(SimpleHTTPRequestHandler):
    root = ""
    protocol_version = "HTTP/1.1"
    timeout = 30
    status = HTTPStatus.OK

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, directory=self.root, **options)  # type: ignore[arg-type]  # the library's own

    def send_head(self) -> BinaryIO | io.BytesIO | None:
        path = Path(self.translate_path(self.path))
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(self.root).parts):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        size, tag = path.stat().st_size, f'"{file_sha256(path)[:32]}"' if path.suffix == ".json" else ""
        if tag and self.headers.get("If-None-Match") == tag:
            self._answer(HTTPStatus.NOT_MODIFIED, 0, tag)
            return None
        found = RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(found[1]) if found else 0
        if start and start >= size:
            self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return None
        opened = path.open("rb")
        opened.seek(start)
        self._answer(HTTPStatus.PARTIAL_CONTENT if found else HTTPStatus.OK, size - start, tag, start, size)
        return opened

    def _answer(self, status: HTTPStatus, length: int, tag: str, start: int = 0, size: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Cache-Control", "no-cache")
        if status is HTTPStatus.PARTIAL_CONTENT:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()

    def do_GET(self) -> None:
        sent = 0
        try:
            if (found := self.send_head()) is not None:
                with found:
                    while piece := found.read(PIECE_BYTES):
                        self.wfile.write(piece)
                        sent += len(piece)
        finally:
            moment, request = self.log_date_time_string(), self.requestline
            self.tell(f'{self.address_string()} - - [{moment}] "{request}" {self.status} {sent}')

    def send_response(self, code: int, message: str | None = None) -> None:
        self.status = HTTPStatus(code)
        super().send_response(code, message)

    def tell(self, line: str) -> None:
        """One line of the log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Say nothing: `tell` says it, once it is known how much went out."""
