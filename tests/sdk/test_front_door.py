"""Connections and requests as no SDK makes them, at the port of the real server."""

import json
import socket
import time
from urllib.parse import urlsplit

import pytest

RUN = json.dumps({"assistant_id": "slow", "input": {"secs": 0.3, "log": []}}).encode()


def connect(base_url: str) -> socket.socket:
    parts = urlsplit(base_url)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def rest(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("path", ["/runs/wait", "/runs/stream"])
def test_a_client_that_closes_its_sending_half_gets_its_answer(base_url, path):
    with connect(base_url) as connection:
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(RUN)}\r\n\r\n"
        connection.sendall(head.encode() + RUN)
        connection.shutdown(socket.SHUT_WR)
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"0\r\n\r\n") and b'"log"' in answer


def test_connections_that_end_within_their_first_bytes_are_closed(base_url):
    begin = time.monotonic()
    for _ in range(50):
        with connect(base_url) as connection:
            connection.sendall(b"P")
            connection.shutdown(socket.SHUT_WR)
            assert rest(connection) == b""
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize("path", ["/\\evil.example/", "//evil.example/", "/%5Cevil.example/", "/%2Fevil.example/"])
def test_no_redirect_leads_to_another_host(base_url, path):
    with connect(base_url) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        answer = rest(connection)
    assert answer.startswith(b"HTTP/1.1 404 ") and b"location:" not in answer.lower()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"host": "evil.example:2024"}, 403),
        ({"host": "evil.example:2024", "origin": "http://evil.example:2024", "x-forwarded-for": "192.0.2.1"}, 403),
        ({"origin": "http://localhost:3000"}, 415),
        ({"origin": "http://localhost:3000", "content-type": "application/json"}, 200),
        ({}, 200),
    ],
)
async def test_pages_of_other_origins_run_nothing(http, headers, status):
    answer = await http.post("/runs/wait", content=RUN, headers={"content-type": "text/plain", **headers})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("number", ["1e999", "9" * 400])
async def test_a_number_that_no_double_holds_reaches_no_graph(http, number):
    body = f'{{"assistant_id": "slow", "input": {{"secs": 0, "log": [{number}]}}}}'
    answer = await http.post("/runs/wait", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("input.log[0]: number out of range: ")
