"""The client's connection, against servers that do right and wrong."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from admin.client.connection import Connection, ProblemError, UnreachableError, place

OK = b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 8\r\n\r\n{"a": 1}'
PROBLEM = json.dumps({"detail": "no", "errors": [{"path": "/a", "message": "b"}]}).encode()


@contextmanager
def serving(listening: socket.socket, answer: bytes) -> Iterator[list[bytes]]:
    """Answer one request; gives what came."""
    came: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            came.append(connection.recv(65536))
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield came
    finally:
        thread.join()


@contextmanager
def tcp(answer: bytes) -> Iterator[tuple[Connection, list[bytes]]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connection = Connection(f"127.0.0.1:{listening.getsockname()[1]}", token="secret")
        with serving(listening, answer) as came:
            yield connection, came
        connection.close()


def test_question_goes_out_and_the_answer_comes_back() -> None:
    with tcp(OK) as (connection, came):
        answer = connection.call("POST", place("explain"), {"url": "/"}, query={"a": "b c"})
    assert (answer.status, answer.value, answer.headers["etag"]) == (200, {"a": 1}, '"x"')
    assert came[0].startswith(b"POST /v1/explain?a=b+c HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in came[0]
    assert b"\r\nContent-Type: application/json\r\n" in came[0]
    assert came[0].endswith(b'\r\n\r\n{"url": "/"}')


def test_unix_socket_is_reached_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        connection = Connection(f"unix:{path}")
        with serving(listening, OK) as came:
            assert connection.call("GET", "/v1/config").value == {"a": 1}
        connection.close()
    assert b"\r\nHost: localhost\r\n" in came[0]


def test_problem_is_raised_with_its_errors() -> None:
    head = b"HTTP/1.1 422 U\r\nContent-Length: %d\r\n\r\n" % len(PROBLEM)
    with tcp(head + PROBLEM) as (connection, _), pytest.raises(ProblemError) as caught:
        connection.call("GET", "/")
    assert (caught.value.status, caught.value.detail) == (422, "no")
    assert caught.value.errors == ({"path": "/a", "message": "b"},)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
    ],
)
def test_whoever_is_no_admin_api_counts_as_nobody(answer: bytes) -> None:
    with tcp(answer) as (connection, _), pytest.raises(UnreachableError):
        connection.call("GET", "/")


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:x", "unix:/nowhere/at/all"])
def test_address_where_nobody_can_be_is_unreachable(address: str) -> None:
    with pytest.raises(UnreachableError):
        Connection(address).call("GET", "/")


def test_refused_connection_says_where() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=address):
            Connection(address).call("GET", "/")


def test_who_listens_everywhere_is_asked_on_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connection = Connection(f"0.0.0.0:{listening.getsockname()[1]}")
        with serving(listening, OK):
            assert connection.call("GET", "/").status == 200
        connection.close()


def test_parts_of_a_path_are_escaped() -> None:
    assert place("pools", "a/b c", "endpoints", "127.0.0.1:80") == (
        "/v1/pools/a%2Fb%20c/endpoints/127.0.0.1:80"
    )
