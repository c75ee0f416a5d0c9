"""``discovery`` of a pool: what can be said, and what is wrong with the rest."""

from __future__ import annotations

from typing import Any

import pytest

from admin.documents.document import effective, validate
from admin.documents.faults import DocumentError
from proxy.spec import DnsSpec


def document(dns: object) -> dict[str, Any]:
    return {"version": 1, "pools": {"web": {"discovery": {"dns": dns}}}}


@pytest.mark.parametrize(
    ("dns", "asked"),
    [
        ({"name": "web", "port": 80}, DnsSpec(name="web", port=80)),
        (
            {"name": "_http._tcp.web.", "records": "srv", "resolver": "10.0.0.1"},
            DnsSpec(name="_http._tcp.web.", records="srv", resolver="10.0.0.1:53"),
        ),
        (
            {"name": "web", "port": 80, "records": "a", "resolver": "::1"},
            DnsSpec(name="web", port=80, records="a", resolver="[::1]:53"),
        ),
        (
            {"name": "web", "port": 80, "resolver": "[::1]:5353"},
            DnsSpec(name="web", port=80, resolver="[::1]:5353"),
        ),
    ],
)
def test_document_says_what_is_asked(dns: object, asked: DnsSpec) -> None:
    made = validate(document(dns))
    discovery = made.pools["web"].to_spec("web").discovery
    assert discovery is not None and discovery.dns == asked
    assert effective(made)["pools"]["web"]["discovery"]["dns"]["name"] == asked.name


@pytest.mark.parametrize(
    ("dns", "path", "message"),
    [
        ({"name": "web"}, "", "addresses need a port"),
        ({"name": "web", "port": 1, "records": "srv"}, "/port", "SRV records say the port"),
        ({"name": "we b", "port": 1}, "/name", "'we b' is not a name in DNS"),
        (
            {"name": ".".join(["a" * 60] * 5), "port": 1},
            "/name",
            "names in DNS have at most 253 characters",
        ),
        (
            {"name": "web", "port": 1, "resolver": "dns.lan:53"},
            "/resolver",
            "'dns.lan:53' is not an IP address",
        ),
        ({"name": "web", "port": 0}, "/port", "0 is not a whole number from 1 to 65,535"),
    ],
)
def test_fault_is_found_where_it_stands(dns: object, path: str, message: str) -> None:
    with pytest.raises(DocumentError) as refused:
        validate(document(dns))
    (fault,) = refused.value.faults
    assert (fault.path, fault.message) == (f"/pools/web/discovery/dns{path}", message)
