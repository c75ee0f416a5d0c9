"""Ask DNS for endpoints, with the TTL of the answer.

dnspython is loaded when the first question is asked: 1.5 MiB that only such a pool needs.  It reads
``/etc/resolv.conf`` (servers, search domains, ``ndots``, options) anew for each question, asks over
TCP what does not fit into a datagram, and follows CNAMEs.

That a name does not exist, or has no such records, is an answer: nobody is there.  So nginx and
Envoy have it, and so a headless Service says that none of its pods is ready.  Everything else that
goes wrong is a failure, which says nothing about endpoints; half an answer is one, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.addresses import parse_address
from proxy.spec import DnsSpec
from proxy.upstream.discovery.answers import Answer, Found

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from dns.resolver import Answer as Reply
    from dns.rrset import RRset

LOOKUP_S: Final = 3.0
"""How long a look-up may take, in seconds, with all that it leads to."""

NOBODY_TTL_S: Final = 5.0
"""How long it holds that nobody is there: shorter than zones say, for somebody will be soon."""

REASON_CHARACTERS: Final = 300

RESOLV_CONF: Final = "/etc/resolv.conf"

_TYPES: Final = {"addresses": ("A", "AAAA"), "a": ("A",), "aaaa": ("AAAA",), "srv": ("A", "AAAA")}


class LookupFailedError(Exception):
    """Nobody can tell which endpoints there are."""


class Looked(NamedTuple):
    """An answer, and for how many seconds it holds."""

    answer: Answer
    ttl_s: float


async def ask(question: DnsSpec) -> Looked:
    """Ask; raise ``LookupFailedError``."""
    import dns.exception

    try:
        async with asyncio.timeout(LOOKUP_S):
            resolver = _resolver(question)
            if question.records == "srv":
                return await _services(resolver, question)
            addresses, ttls = await _addresses(resolver, question.name, question.records)
            assert question.port is not None
            return _looked((Found(at, at) for at in _with_port(addresses, question.port)), ttls)
    except TimeoutError:
        raise LookupFailedError(f"no answer within {LOOKUP_S:g} s") from None
    # ValueError: of a resolv.conf that names no address.
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise LookupFailedError(str(error)[:REASON_CHARACTERS]) from error


def _resolver(question: DnsSpec) -> Resolver:
    from dns.asyncresolver import Resolver

    if question.resolver is None:
        resolver = Resolver(filename=RESOLV_CONF)
    else:
        address = parse_address(question.resolver)
        resolver = Resolver(configure=False)
        resolver.nameservers = [address.host]
        resolver.port = address.port
    resolver.lifetime = LOOKUP_S
    return resolver


async def _addresses(
    resolver: Resolver, name: str, records: str, *, search: bool = True
) -> tuple[list[str], list[float]]:
    """Return IP addresses of a name, and the TTLs of what says so."""
    replies = await asyncio.gather(
        *(_query(resolver, name, each, search=search) for each in _TYPES[records])
    )
    found = [reply for reply in replies if reply is not None]
    addresses = [record.address for reply in found for record in reply]
    return addresses, [float(reply.chaining_result.minimum_ttl) for reply in found]


async def _query(
    resolver: Resolver, name: str, records: str, *, search: bool = True
) -> Reply | None:
    """Return the records of a name, ``None`` if there are none."""
    import dns.resolver

    try:
        return await resolver.resolve(name, records, search=search)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return None


async def _services(resolver: Resolver, question: DnsSpec) -> Looked:
    reply = await _query(resolver, question.name, "SRV")
    if reply is None:
        return _looked((), ())
    # A target of "." says that the service is not there (RFC 2782).
    services = [one for one in reply if one.target.labels != (b"",)]
    # By name: a pod of two families has two sets of records, and others may stand there, too.
    given: dict[str, list[RRset]] = {}
    for rrset in reply.response.additional:
        if rrset.rdtype.name in _TYPES["srv"]:
            given.setdefault(_name(rrset.name), []).append(rrset)
    ttls = [float(reply.chaining_result.minimum_ttl)]
    addresses: dict[str, list[str]] = {}

    async def find(target: str) -> None:
        if target in given:
            addresses[target] = [str(one.address) for rrset in given[target] for one in rrset]
            its_ttls = [float(rrset.ttl) for rrset in given[target]]
        else:
            addresses[target], its_ttls = await _addresses(resolver, target, "srv", search=False)
        ttls.extend(its_ttls)

    await asyncio.gather(*(find(target) for target in {_name(one.target) for one in services}))
    first = min((one.priority for one in services), default=0)
    found: list[Found] = []
    for one in services:
        target = _name(one.target)
        ends = _with_port(addresses[target], one.port)
        name = f"{target.rstrip('.')}:{one.port}"
        found += [
            Found(
                name if len(ends) == 1 else f"{name}@{end}",
                end,
                # 0 stands for very little (RFC 2782); there are two tiers, so what is not the
                # first choice is a backup.
                max(one.weight, 1),
                one.priority > first,
            )
            for end in ends
        ]
    return _looked(found, ttls)


def _name(target: object) -> str:
    return str(target).lower()


def _with_port(addresses: Iterable[str], port: int) -> list[str]:
    return [
        parse_address(f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}").text
        for ip in dict.fromkeys(addresses)
    ]


def _looked(found: Iterable[Found], ttls: Sequence[float]) -> Looked:
    by_address: dict[str, Found] = {}
    # Of two that have one address the first choice counts.
    for one in sorted(found, key=lambda one: (one.backup, one.name, one.address)):
        by_address.setdefault(one.address, one)
    answer = tuple(sorted(by_address.values(), key=lambda one: (one.name, one.address)))
    return Looked(answer, min(ttls) if answer else NOBODY_TTL_S)
