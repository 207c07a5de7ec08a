"""What the scripts that attack a server share: a connection, requests as bytes, and findings. Imported, never run."""

import json
import re
import socket
import sys

PASSWORD = "correct horse battery"
passed = failed = 0


def check(what, holds, figures):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print(f"{'ok    ' if holds else 'FAILED'} {what}: {figures}", flush=True)


def finish():
    """The last line and the exit code."""
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


class Client:
    """One keep-alive connection, with nothing between us and the bytes."""

    def __init__(self, address, timeout=20):
        self.address, self.timeout, self.socket = address, timeout, None

    def exchange(self, request):
        """Status, head and body of the answer; connects anew when the server has closed."""
        for attempt in range(2):
            try:
                if self.socket is None:
                    self.socket = socket.create_connection(self.address, self.timeout)
                    self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.socket.sendall(request)
                return self.read()
            except (ConnectionError, EOFError):
                self.close()
                if attempt:
                    raise

    def read(self):
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, body = data.split(b"\r\n\r\n", 1)
        length = re.search(rb"content-length: *(\d+)", head, re.I)
        while length and len(body) < int(length[1]):
            body += self.more()
        if b"connection: close" in head.lower():
            self.close()
        return int(head[9:12]), head.decode("latin-1"), body

    def more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError
        return piece

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None


def request(method, path, body=None, **fields):
    payload = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(payload)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload
