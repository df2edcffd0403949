"""An HTTP server for a test that scripts every answer: truncated, slow, invalid or not HTTP at all."""

import socket
import ssl
import threading
from collections.abc import Callable

Script = Callable[[socket.socket], object]


class ScriptedServer:
    """
    Answers each connection with a script and records the requests.

    Args:
        tls: For a server with TLS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[bytes] = []
        self.script: Script = lambda connection: connection.sendall(ok(b"{}"))
        self.stopping = threading.Event()
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self.stopping.is_set():
            accepted, _ = self._socket.accept()
            try:
                with self._tls.wrap_socket(accepted, server_side=True) if self._tls else accepted as connection:
                    if self.stopping.is_set():
                        return
                    self.asked.append(_request(connection))
                    self.script(connection)
            except OSError:
                pass  # the client closed the connection, as it should
            finally:
                accepted.close()

    def stop(self) -> None:
        """Stop the thread."""
        self.stopping.set()
        with socket.create_connection(self._socket.getsockname()):
            pass
        self._thread.join(5)
        self._socket.close()


def _request(connection: socket.socket) -> bytes:
    """Head and body of one request."""
    got = connection.recv(65536)
    while b"content-length: " in got.lower() and got.endswith(b"\r\n\r\n"):
        got += connection.recv(65536)
    return got


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An HTTP answer after which the connection closes."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
