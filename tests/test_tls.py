"""TLS: a server that the system trusts is called, another is not."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

CHILD = """
import os
import iron_sdk as iron

with iron.SyncClient({}, base_url=os.environ["SERVER"], api_key="sk-over-tls", max_attempts=1) as client:
    try:
        print(client.chat("Hello", model="openai/gpt-6-luna", max_tokens=50).text)
    except iron.UpstreamConnectionError as error:
        causes = []
        while error is not None:
            causes.append(str(error))
            error = error.__cause__
        print("refused:", " | ".join(causes))
"""
REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-6-luna",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "sealed"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.keys.append(self.headers["authorization"])
        body = json.dumps(REPLY).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Write nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, authority):
        super().__init__(("127.0.0.1", 0), Handler)
        self.keys = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_):
        """A client that does not trust us breaks the handshake off."""


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def server(authority):
    with Server(authority) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def chat(server, trusted):
    """Call the server from a process whose system trusts the authority in that file alone."""
    url = f"https://localhost:{server.server_address[1]}/v1"
    env = {**os.environ, "SERVER": url, "SSL_CERT_FILE": str(trusted)}
    ran = subprocess.run([sys.executable, "-c", CHILD], env=env, capture_output=True, text=True, check=True)
    return ran.stdout


def test_a_trusted_server_is_called_with_the_key(server, authority, tmp_path):
    trusted = tmp_path / "trusted.pem"
    authority.cert_pem.write_to_path(trusted)
    assert chat(server, trusted) == "sealed\n"
    assert server.keys == ["Bearer sk-over-tls"]


def test_a_server_that_nobody_vouches_for_never_sees_the_key(server, tmp_path):
    trusted = tmp_path / "trusted.pem"
    trustme.CA().cert_pem.write_to_path(trusted)
    told = chat(server, trusted)
    assert told.startswith("refused: openai/gpt-6-luna: could not connect")
    assert "certificate" in told
    assert server.keys == []
