"""The containers' health checks, against a real server on a free port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tools.healthy import api_answers


class _Answers(BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (401, True), (500, False), (503, False)])
def test_a_server_that_answers_is_alive_unless_it_says_it_is_not(
    address: str, status: int, healthy: bool
) -> None:
    assert api_answers(f"{address}/{status}") is healthy


def test_nobody_there(address: str) -> None:
    free = HTTPServer(("127.0.0.1", 0), _Answers)
    free.server_close()
    assert not api_answers(f"http://127.0.0.1:{free.server_port}/200")
