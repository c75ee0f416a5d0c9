from __future__ import annotations

import pytest
from multidict import CIMultiDict

from admin.api.etags import check_write, not_modified, tag_of
from admin.api.problems import Problem
from admin.edits import MISSING
from tests.unit.admin.api.answers import ok, problem
from tests.unit.admin.conftest import Client

TAG = tag_of({"a": 1})


def test_tag_is_the_same_whatever_the_order_of_keys() -> None:
    assert tag_of({"a": 1, "b": 2}) == tag_of({"b": 2, "a": 1})


def test_tags_of_representations_differ() -> None:
    assert len({tag_of({}), tag_of({}, "yaml"), tag_of({}, "effective")}) == 3


@pytest.mark.parametrize("field", ["*", TAG, f'"x", {TAG}', tag_of({"a": 1}, "effective-yaml")])
def test_if_match_that_holds_lets_the_write_through(field: str) -> None:
    check_write({"a": 1}, field, None)


@pytest.mark.parametrize("field", ['"x"', f"W/{TAG}", tag_of({"a": 2})])
def test_if_match_that_does_not_hold_is_412(field: str) -> None:
    with pytest.raises(Problem) as refusal:
        check_write({"a": 1}, field, None)
    assert refusal.value.status == 412
    assert TAG in refusal.value.detail


@pytest.mark.parametrize("field", ["*", TAG])
def test_if_match_on_what_does_not_exist_is_412(field: str) -> None:
    with pytest.raises(Problem) as refusal:
        check_write(MISSING, field, None)
    assert refusal.value.status == 412


@pytest.mark.parametrize("field", ["*", TAG, f"W/{TAG}"])
def test_if_none_match_on_what_exists_is_412(field: str) -> None:
    with pytest.raises(Problem) as refusal:
        check_write({"a": 1}, None, field)
    assert refusal.value.status == 412


@pytest.mark.parametrize("field", ["*", TAG])
def test_if_none_match_on_what_does_not_exist_lets_it_be_created(field: str) -> None:
    check_write(MISSING, None, field)


@pytest.mark.parametrize("field", ["abc", '"abc', '"a" "b"', "", " "])
def test_field_that_lists_no_tags_never_holds(field: str) -> None:
    for if_match, if_none_match in ((field, None), (None, field)):
        with pytest.raises(Problem) as refusal:
            check_write({}, if_match, if_none_match)
        assert refusal.value.status == 412
    assert not not_modified(TAG, field)


@pytest.mark.parametrize(
    ("field", "same"),
    [(None, False), ("*", True), (TAG, True), (f"W/{TAG}", True), ('"x"', False)],
)
def test_not_modified_compares_weakly(field: str | None, same: bool) -> None:
    assert not_modified(TAG, field) is same


async def test_tag_changes_with_its_own_resource_only(client: Client) -> None:
    paths = ["/v1/config", "/v1/pools", "/v1/pools/backend", "/v1/pools/spare", "/v1/routes/all"]
    before = [(await client.get(path)).headers["ETag"] for path in paths]
    await ok(await client.patch("/v1/pools/spare", json={"x-note": 1}))
    after = [(await client.get(path)).headers["ETag"] for path in paths]
    differ = [path for path, one, other in zip(paths, before, after, strict=True) if one != other]
    assert differ == ["/v1/config", "/v1/pools", "/v1/pools/spare"]


async def test_known_tag_is_answered_with_304(client: Client) -> None:
    for query in ("", "?view=effective"):
        first = await client.get("/v1/pools/backend" + query)
        tag = first.headers["ETag"]
        again = await client.get("/v1/pools/backend" + query, headers={"If-None-Match": tag})
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
        other = await client.get("/v1/pools/spare" + query, headers={"If-None-Match": tag})
        assert other.status == 200


async def test_tag_of_one_representation_is_not_that_of_another(client: Client) -> None:
    tag = (await client.get("/v1/config")).headers["ETag"]
    headers = {"If-None-Match": tag, "Accept": "application/yaml"}
    assert (await client.get("/v1/config", headers=headers)).status == 200


@pytest.mark.parametrize("query", ["", "?view=effective"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_write_with_the_current_tag_goes_through(
    client: Client, method: str, query: str
) -> None:
    tag = (await client.get("/v1/pools/spare" + query)).headers["ETag"]
    headers = {"If-Match": tag}
    response = await client.request(method, "/v1/pools/spare", json={"x-a": 1}, headers=headers)
    await ok(response)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_write_with_an_old_tag_is_412(client: Client, method: str) -> None:
    tag = (await client.get("/v1/pools/spare")).headers["ETag"]
    await ok(await client.patch("/v1/pools/spare", json={"x-note": 1}))
    headers = {"If-Match": tag}
    response = await client.request(method, "/v1/pools/spare", json={}, headers=headers)
    await problem(response, 412)
    assert await ok(await client.get("/v1/pools/spare")) == {"endpoints": {}, "x-note": 1}


async def test_creating_only_does_not_replace(client: Client) -> None:
    headers = {"If-None-Match": "*"}
    await problem(await client.put("/v1/pools/spare", json={}, headers=headers), 412)
    await ok(await client.put("/v1/pools/new", json={}, headers=headers), 201)
    await problem(await client.put("/v1/config", json={}, headers=headers), 412)


async def test_if_match_on_a_missing_object_is_412(client: Client) -> None:
    response = await client.patch("/v1/pools/nope", json={}, headers={"If-Match": "*"})
    await problem(response, 412)


async def test_field_in_several_lines_is_one_list(client: Client) -> None:
    tag = (await client.get("/v1/pools/spare")).headers["ETag"]
    headers = CIMultiDict([("If-Match", '"x"'), ("If-Match", tag)])
    await ok(await client.patch("/v1/pools/spare", json={"x-a": 1}, headers=headers))
