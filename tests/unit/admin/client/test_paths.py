from __future__ import annotations

import pytest

from admin.client.paths import object_of, parts_of, path_of
from admin.client.problems import ClientError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("config", ("config",)),
        ("pools", ("pools",)),
        ("pools/", ("pools",)),
        ("pool/backend", ("pools", "backend")),
        ("/pools/backend", ("pools", "backend")),
        ("/v1/routes/a", ("routes", "a")),
        ("header_map/tier", ("header_maps", "tier")),
        ("pools/b/endpoints", ("pools", "b", "endpoints")),
        ("pools/b/endpoints/unix:/run/a.sock", ("pools", "b", "endpoints", "unix:/run/a.sock")),
    ],
)
def test_name_on_the_command_line_is_read(text: str, parts: tuple[str, ...]) -> None:
    assert parts_of(text) == parts


@pytest.mark.parametrize(
    "text", ["", "pol/x", "pools//x", "config/x", "routes/a/endpoints/b", "pools/b/balance"]
)
def test_name_of_nothing_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(ClientError) as refused:
        parts_of(text)
    assert (refused.value.status, "pools/NAME" in str(refused.value.hint)) == (2, True)


@pytest.mark.parametrize("text", ["pools", "pools/b/endpoints"])
def test_map_of_objects_is_not_one_object(text: str) -> None:
    with pytest.raises(ClientError, match="not one object"):
        object_of(text)


def test_part_of_a_path_cannot_break_out_of_it() -> None:
    path = path_of("pools", "a/../b?c", "endpoints", "[::1]:80 é")
    assert path == "/v1/pools/a%2F..%2Fb%3Fc/endpoints/%5B%3A%3A1%5D%3A80%20%C3%A9"
