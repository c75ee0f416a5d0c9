"""What proxies are told to do, as far as that can be seen without starting them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from admin.documents.document import validate
from bench.peers import PEERS, envoy, haproxy, hotsplice, nginx
from bench.peers.peer import MANY, USUAL, Setup

SETUPS = {
    "usual": Setup(("127.0.0.1:8000",)),
    "many rules": Setup(("127.0.0.1:8000",), rules=MANY),
    "crowded": Setup(("127.0.0.1:8000",), unused_maps=2, live=5),
    "grown": Setup(("127.0.0.1:8000", "127.0.0.2:8000"), routes=3),
}


def written(setup: Setup, folder: Path) -> dict[str, str]:
    """Return each configuration as a text."""
    return {
        "nginx": nginx.http(setup, 1, folder),
        "haproxy": haproxy.conf(setup, 1, folder),
        "envoy": json.dumps(envoy.conf(setup, 1, 2)),
        "hotsplice": json.dumps(hotsplice.document(setup)),
    }


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_all_are_told_the_same(setup: Setup, tmp_path: Path) -> None:
    asked = [one.target for one in setup.rules.maps]
    asked += [*setup.rules.request, *setup.rules.response, *setup.endpoints]
    for name, text in written(setup, tmp_path).items():
        for one in asked:
            # Envoy has host and port apart.
            assert one.removesuffix(":8000") in text, (name, one)
        # HAProxy has routes in a file, Envoy in a tree.
        text += "".join(one.read_text() for one in tmp_path.glob("routes.map"))
        assert all(f"/r{number}/" in text for number in range(setup.routes)), name


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_our_document_is_sound(setup: Setup) -> None:
    validate(hotsplice.document(setup))


def test_unused_maps_are_there_and_nobody_asks_them(tmp_path: Path) -> None:
    setup = SETUPS["crowded"]
    assert nginx.http(setup, 1, tmp_path).count("$unused_") == 2
    document = hotsplice.document(setup)
    assert [name for name in document["header_maps"] if name.startswith("unused_")] == [
        "unused_0", "unused_1",
    ]  # fmt: skip
    assert "unused_" not in json.dumps(document["routes"])


def test_many_is_ten_rules_and_usual_is_two() -> None:
    for rules, maps, count in ((USUAL, 1, 2), (MANY, 3, 10)):
        assert len(rules.maps) == maps
        assert len(rules.maps) + len(rules.request) + len(rules.response) == count


def test_each_is_known_by_its_name() -> None:
    assert list(PEERS) == [one.name for one in PEERS.values()]
    assert len(PEERS) == 6
