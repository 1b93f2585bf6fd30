"""A web server on this machine that receives messages, or behaves badly."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from runs_for_tests import wait_until


class Received(NamedTuple):
    """A request that the server got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """Content of a JSON body."""
        fields: dict[str, Any] = json.loads(self.body)
        return fields


class Webhook:
    """A server whose behaviour the first part of the path chooses.

    `/ok/…`, `/500/…`, `/302/…` and `/307/…`, which lead to `location`, `/hang/…` and `/drip/…`,
    which never end, and `/garbage/…`, which is not HTTP.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.location = ""
        self.on_request: Callable[[], None] = lambda: None
        """Called before a request is answered."""
        self.released = threading.Event()
        """Set to let answers that never end, end."""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, path: str = "ok/T0PSECRET", scheme: str = "http") -> str:
        """Return the URL of a path."""
        return f"{scheme}://127.0.0.1:{self.server.server_port}/{path}"

    def wait_for(self, count: int) -> list[Received]:
        """Wait until the server got `count` requests, and return all."""
        wait_until(lambda: len(self.received) >= count)
        return self.received

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.on_request()
                webhook.received.append(Received(self.path, dict(self.headers), body))
                behaviour = self.path.split("/")[1]
                match behaviour:
                    case "hang":
                        webhook.released.wait(60)
                    case "drip":
                        self.wfile.write(b"HTTP/1.0 200 OK\r\n")
                        while not webhook.released.wait(0.02):
                            self.wfile.write(b"X")
                    case "garbage":
                        self.wfile.write(b"\x00\x01\x02\r\n")
                    case _:
                        self.answer(200 if behaviour == "ok" else int(behaviour))

            def answer(self, code: int) -> None:
                self.send_response(code)
                if webhook.location:
                    self.send_header("Location", webhook.location)
                self.end_headers()
                self.wfile.write(f"The requested URL was {self.path}".encode())

            def log_message(self, *_: object) -> None:
                pass

            def handle(self) -> None:
                with suppress(OSError):  # the client has given up
                    super().handle()

        return Handler


@contextmanager
def webhook_server() -> Iterator[Webhook]:
    """Yield a server, which is closed at the end."""
    webhook = Webhook()
    try:
        yield webhook
    finally:
        webhook.released.set()
        webhook.server.shutdown()
        webhook.server.server_close()
