from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from proxy.addresses import parse_address
from proxy.errors import FaultError
from proxy.upstream.denied import METADATA, Denied


def denies(denied: Denied, address: str) -> bool:
    return denied.why(parse_address(address)) is not None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("169.254.169.254:80", True),
        ("169.254.0.1:8080", True),
        ("[fe80::1]:80", True),
        ("[::ffff:169.254.169.254]:80", True),
        ("[::ffff:a9fe:a9fe]:80", True),
        ("169.253.255.255:80", False),
        ("127.0.0.1:80", False),
        ("[fd00:ec2::254]:80", True),
        ("[fd00:ec2::1]:80", False),
        ("[64:ff9b::169.254.169.254]:80", True),
        ("[64:ff9b::a9fe:1]:80", True),
        ("[64:ff9b::169.253.0.1]:80", False),
        ("[64:ff9b:1::a9fe:1]:80", False),
        ("unix:/run/app.sock", False),
    ],
)
def test_metadata_services_are_denied_however_it_is_written(address: str, expected: bool) -> None:
    assert denies(Denied(METADATA), address) is expected


def test_nothing_is_denied_unless_it_is_said() -> None:
    assert not denies(Denied(), "169.254.169.254:80")


def test_what_is_no_network_is_a_fault() -> None:
    with pytest.raises(FaultError, match="not a network"):
        Denied(["10.0.0.0/33"])


def outward() -> str:
    """Return an address of this machine that is not loopback, or loopback if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        name: str = probe.getsockname()[0]
        return name


@pytest.mark.parametrize(
    ("own", "address", "expected"),
    [
        ("127.0.0.1:9901", "127.0.0.1:9901", True),
        ("127.0.0.1:9901", "0.0.0.0:9901", True),
        ("127.0.0.1:9901", "127.0.0.1:9902", False),
        ("127.0.0.1:9901", "127.0.0.2:9901", False),
        ("127.0.0.1:9901", "192.0.2.1:9901", False),
        ("0.0.0.0:9902", "127.0.0.1:9902", True),
        ("0.0.0.0:9902", "127.8.8.8:9902", True),
        ("0.0.0.0:9902", "OUTWARD:9902", True),
        ("0.0.0.0:9902", "192.0.2.1:9902", False),
        ("[::]:9902", "[::1]:9902", True),
        ("[::]:9902", "[2001:db8::1]:9902", False),
        ("localhost:9901", "127.0.0.1:9901", True),
        ("unix:/run/admin.sock", "127.0.0.1:9901", False),
        ("unix:/run/admin.sock", "unix:/run//./admin.sock", True),
        ("127.0.0.1:9901", "unix:/run/admin.sock", False),
    ],
)
def test_our_own_listeners_are_denied_at_every_address_they_answer_at(
    own: str, address: str, expected: bool
) -> None:
    denied = Denied((), [parse_address(own)])
    assert denies(denied, address.replace("OUTWARD", outward())) is expected


def test_socket_of_ours_is_denied_by_whatever_path(tmp_path: Path) -> None:
    path, link, other = tmp_path / "admin.sock", tmp_path / "link.sock", tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as bound_too:
        bound.bind(str(path))
        bound_too.bind(str(other))
        link.symlink_to(path)
        os.link(path, tmp_path / "hard.sock")
        denied = Denied((), [parse_address(f"unix:{path}")])
        assert denies(denied, f"unix:{link}")
        assert denies(denied, f"unix:{tmp_path}/hard.sock")
        assert not denies(denied, f"unix:{other}")


def test_our_own_listeners_may_become_known_later() -> None:
    denied = Denied()
    denied.protect(map(parse_address, ["127.0.0.1:9901"]))
    assert denies(denied, "127.0.0.1:9901")
