"""Endpoints that DNS has: found, followed, kept while it fails; a real server, real origins."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from proxy.spec import DiscoverySpec, DnsSpec, EndpointSpec, OverrideSpec, Spec
from proxy.telemetry.exposition import render
from proxy.upstream.discovery import following, questions
from proxy.upstream.discovery.following import Discovered
from proxy.upstream.discovery.questions import LookupFailedError
from tests.peers import Running, Stage, answers, build_spec, eventually, pool, reply, websocket
from tests.peers.dns_server import DnsServer
from tests.peers.frames import CLOSE, HANDSHAKE_FIELDS, read_frame
from tests.peers.origin import Origin

NAME = "web.default.svc.cluster.local"
SRV = f"_http._tcp.{NAME}"


def found(dns: DnsServer, *endpoints: EndpointSpec, **asked: Any) -> Spec:
    """Return a configuration whose pool is found by DNS."""
    on_removal = asked.pop("on_removal", "keep")
    question = DnsSpec(**{"name": NAME, "resolver": dns.address, **asked})
    discovery = DiscoverySpec(dns=question)
    return build_spec(pools=[pool(*endpoints, discovery=discovery, on_removal=on_removal)])


def port_of(origin: Origin) -> int:
    return int(origin.address.rpartition(":")[2])


def names(running: Running) -> list[str]:
    return [one.name for one in running.pool().endpoints if one.state != "removed"]


async def until(running: Running, *wanted: str) -> None:
    await eventually(
        lambda: names(running) == list(wanted), lambda: f"{wanted}, not {names(running)}"
    )


@pytest.fixture
async def pods(stage: Stage) -> list[Origin]:
    """Give two origins on one port, as pods of a Service are."""
    first = stage.origin(answers(reply(b"one")))
    second = stage.origin(answers(reply(b"two")), bind=("127.0.0.2", port_of(first)))
    return [first, second]


@pytest.fixture
async def dns(stage: Stage) -> DnsServer:
    return await stage.dns()


async def test_endpoints_come_and_go_with_the_records(
    stage: Stage, dns: DnsServer, pods: list[Origin]
) -> None:
    port = port_of(pods[0])
    dns.say(NAME, "A", "127.0.0.1")
    running = await stage.serve(found(dns, port=port))
    told: list[Discovered] = []
    running.server.watch_discovery(told.append)
    assert names(running) == [f"127.0.0.1:{port}"]
    number = running.read().generation
    client = await running.connect()
    assert (await client.get()).body == b"one"
    dns.say(NAME, "A", "127.0.0.2", "127.0.0.1")
    await until(running, f"127.0.0.1:{port}", f"127.0.0.2:{port}")
    assert {(await client.get()).body for _ in range(4)} == {b"one", b"two"}
    dns.say(NAME, "A", "127.0.0.2")
    await until(running, f"127.0.0.2:{port}")
    assert {(await client.get()).body for _ in range(2)} == {b"two"}
    assert running.read().generation == number
    assert [(one.pool, one.what, one.added, one.removed) for one in told] == [
        ("backend", "moved", (f"127.0.0.2:{port}",), ()),
        ("backend", "moved", (), (f"127.0.0.1:{port}",)),
    ]
    assert all(one.discovered for one in running.pool().endpoints)


async def test_answer_is_asked_again_when_its_time_is_over(
    stage: Stage, dns: DnsServer, pods: list[Origin], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LEAST_TTL_S", 0.2)
    monkeypatch.setattr(following, "MOST_TTL_S", 0.4)
    port = port_of(pods[0])
    loop = asyncio.get_running_loop()
    for ttl, least_s, most_s in ((0, 0.2, 0.4), (3600, 0.4, 3.0)):
        dns.say(NAME, "A", "127.0.0.1", ttl=ttl)
        running = await stage.serve(found(dns, port=port, records="a"))
        began = loop.time()
        dns.asked.clear()
        await eventually(lambda: dns.asked, "the next question")
        assert least_s * 0.9 < loop.time() - began < most_s
        await running.server.apply(build_spec())
        assert running.pool().discovery is None


@pytest.mark.parametrize("mood", ["failing", "silent"])
async def test_last_good_answer_holds_while_dns_fails(
    stage: Stage,
    dns: DnsServer,
    pods: list[Origin],
    mood: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(questions, "LOOKUP_S", 0.3)
    monkeypatch.setattr(following, "RETRY_S", 0.1)
    port = port_of(pods[0])
    dns.say(NAME, "A", "127.0.0.1")
    running = await stage.serve(found(dns, port=port))
    told: list[Discovered] = []
    running.server.watch_discovery(told.append)
    dns.mood = mood
    await eventually(lambda: told, "the failure")
    discovery = running.pool().discovery
    assert discovery is not None and discovery.reason
    assert (discovery.found, discovery.lookups["failed"] > 0) == (1, True)
    text = render(running.read(), "", ())[0].decode()
    assert 'hotsplice_discovery_stale{pool="backend"} 1' in text
    assert 'hotsplice_discovery_lookups_total{pool="backend",result="answered"} 1' in text
    assert (await (await running.connect()).get()).body == b"one"
    # A change of the configuration keeps it, too.
    dns.say(NAME, "A", "127.0.0.2")
    await running.server.apply(found(dns, port=port, on_removal="close"))
    assert names(running) == [f"127.0.0.1:{port}"]
    dns.mood = "well"
    await until(running, f"127.0.0.2:{port}")
    assert [one.what for one in told] == ["failing", "answered", "moved"]


async def test_name_that_is_gone_is_an_answer(
    stage: Stage, dns: DnsServer, pods: list[Origin], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "NOBODY_TTL_S", 0.0)
    port = port_of(pods[0])
    dns.say(NAME, "A", "127.0.0.1")
    running = await stage.serve(found(dns, port=port))
    client = await running.connect()
    for gone in (partial(dns.forget, NAME), partial(dns.say, NAME, "A")):
        gone()
        await until(running)
        assert (await client.get()).status == 502
        dns.say(NAME, "A", "127.0.0.1")
        await until(running, f"127.0.0.1:{port}")
        assert (await client.get()).status == 200


async def test_pool_that_was_never_answered_says_so_and_gets_its_endpoints(
    stage: Stage, dns: DnsServer, pods: list[Origin], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "RETRY_S", 0.1)
    port = port_of(pods[0])
    dns.mood = "failing"
    running = await stage.serve(build_spec())
    (warning,) = await running.server.apply(found(dns, port=port))
    assert warning.startswith(f"backend: DNS has no endpoint for {NAME} (")
    assert "SERVFAIL" in warning
    dns.mood = "well"
    dns.say(NAME, "A", "127.0.0.1")
    await until(running, f"127.0.0.1:{port}")


async def test_both_families_are_asked_for(stage: Stage, dns: DnsServer) -> None:
    origin = stage.origin(answers(reply(b"six")), family="ipv6")
    port = port_of(origin)
    dns.say(NAME, "A", "127.0.0.1")
    dns.say(NAME, "AAAA", "::1", "::ffff:127.0.0.1")
    running = await stage.serve(found(dns, port=port))
    assert names(running) == [f"127.0.0.1:{port}", f"[::1]:{port}"]
    await running.server.apply(found(dns, port=port, records="aaaa", on_removal="close"))
    dns.say(NAME, "AAAA", "::1")
    await until(running, f"[::1]:{port}")
    assert (await (await running.connect()).get()).body == b"six"


async def test_half_an_answer_removes_nobody(
    stage: Stage, dns: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "LOOKUP_S", 0.3)
    dns.say(NAME, "A", "127.0.0.1")
    dns.say(NAME, "AAAA", "::1")
    running = await stage.serve(found(dns, port=8000))
    told: list[Discovered] = []
    running.server.watch_discovery(told.append)
    answer = dns._answer

    def half(data: bytes, *, truncated: bool = False) -> bytes | None:
        made = answer(data, truncated=truncated)
        return None if dns.asked[-1].endswith(" AAAA") else made

    monkeypatch.setattr(dns, "_answer", half)
    await eventually(lambda: told, "the failure")
    assert (told[0].what, names(running)) == ("failing", ["127.0.0.1:8000", "[::1]:8000"])


async def test_services_have_ports_weights_and_backups(
    stage: Stage, dns: DnsServer, pods: list[Origin]
) -> None:
    port = port_of(pods[0])
    dns.say(SRV, "SRV", f"0 3 {port} pod-0.{NAME}.", f"0 0 {port} POD-1.{NAME}.",
            f"10 1 9999 other.{NAME}.", f"0 1 9998 gone.{NAME}.")  # fmt: skip
    dns.add(SRV, f"pod-0.{NAME}", "A", "127.0.0.1")
    dns.say(f"pod-1.{NAME}", "A", "127.0.0.2")
    dns.say(f"other.{NAME}", "A", "127.0.0.3", "127.0.0.4")
    running = await stage.serve(found(dns, name=SRV, records="srv"))
    shown = [(one.name, one.address, one.weight, one.backup) for one in running.pool().endpoints]
    assert shown == [
        (f"other.{NAME}:9999@127.0.0.3:9999", "127.0.0.3:9999", 1, True),
        (f"other.{NAME}:9999@127.0.0.4:9999", "127.0.0.4:9999", 1, True),
        (f"pod-0.{NAME}:{port}", f"127.0.0.1:{port}", 3, False),
        (f"pod-1.{NAME}:{port}", f"127.0.0.2:{port}", 1, False),
    ]
    assert f"pod-0.{NAME} A" not in dns.asked  # the answer had it
    client = await running.connect()
    bodies = [(await client.get()).body for _ in range(8)]
    assert (bodies.count(b"one"), bodies.count(b"two")) == (6, 2)
    dns.say(SRV, "SRV", "0 0 0 .")
    await until(running)


async def test_answer_to_srv_may_bring_both_families_and_other_records(dns: DnsServer) -> None:
    dns.say(SRV, "SRV", f"0 1 80 pod-0.{NAME}.")
    for kind, record in (("A", "10.0.0.1"), ("TXT", "words"), ("AAAA", "fd00::1"), ("TXT", "more")):
        dns.add(SRV, f"pod-0.{NAME}", kind, record)
    looked = await questions.ask(DnsSpec(name=SRV, records="srv", resolver=dns.address))
    assert [one.address for one in looked.answer] == ["10.0.0.1:80", "[fd00::1]:80"]
    assert dns.asked == [f"{SRV} SRV"]


async def test_resolv_conf_that_names_no_address_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver nobody\n")
    monkeypatch.setattr(questions, "RESOLV_CONF", str(conf))
    with pytest.raises(LookupFailedError, match="nobody"):
        await questions.ask(DnsSpec(name=NAME, port=80))


async def test_long_answer_comes_over_tcp(stage: Stage, dns: DnsServer) -> None:
    dns.mood = "truncating"
    dns.say(NAME, "A", *(f"10.0.{n // 250}.{n % 250 + 1}" for n in range(600)))
    running = await stage.serve(found(dns, port=80, records="a"))
    assert (len(names(running)), dns.over_tcp) == (600, 1)


async def test_what_is_written_stands_beside_and_before_what_is_found(
    stage: Stage, dns: DnsServer
) -> None:
    dns.say(NAME, "A", "127.0.0.1", "127.0.0.2")
    written = EndpointSpec(name="mine", address="127.0.0.1:8000", weight=5)
    running = await stage.serve(found(dns, written, port=8000))
    shown = [(one.name, one.weight, one.discovered) for one in running.pool().endpoints]
    assert shown == [("mine", 5, False), ("127.0.0.2:8000", 1, True)]


async def test_found_endpoint_is_overridden_like_any_other(
    stage: Stage, dns: DnsServer, pods: list[Origin]
) -> None:
    port = port_of(pods[0])
    dns.say(NAME, "A", "127.0.0.1", "127.0.0.2")
    running = await stage.serve(found(dns, port=port))
    name = f"127.0.0.1:{port}"
    overrides = {"backend": {name: OverrideSpec(state="drain")}}
    (await running.server.prepare_overrides(overrides)).publish()
    client = await running.connect()
    assert {(await client.get()).body for _ in range(4)} == {b"two"}
    dns.say(NAME, "A", "127.0.0.1")
    await until(running, name)
    assert running.endpoint(name).state == "drain"


@pytest.mark.parametrize("on_removal", ["keep", "close"])
async def test_tunnels_of_an_endpoint_that_leaves_end_as_the_pool_says(
    stage: Stage, dns: DnsServer, on_removal: str
) -> None:
    first = stage.origin(websocket())
    port = port_of(first)
    dns.say(NAME, "A", "127.0.0.1")
    running = await stage.serve(found(dns, port=port, on_removal=on_removal))
    client = await running.connect()
    assert (await client.request(b"GET", b"/ws", *HANDSHAKE_FIELDS)).status == 101
    dns.say(NAME, "A", "127.0.0.2")
    await until(running, f"127.0.0.2:{port}")
    spliced = sum(one.splices for one in running.pool().endpoints)
    if on_removal == "keep":
        assert spliced == 1
    else:
        assert (await read_frame(client)).opcode == CLOSE


async def test_nothing_is_asked_any_more_of_a_pool_that_is_gone(
    stage: Stage, dns: DnsServer
) -> None:
    dns.say(NAME, "A", "127.0.0.1")
    running = await stage.serve(found(dns, port=8000))
    followed = [task for task in asyncio.all_tasks() if "Discovery._follow" in repr(task)]
    assert len(followed) == 1
    await running.server.apply(build_spec())
    await eventually(followed[0].done, "the end of the following")


async def test_search_domains_apply_to_names_that_do_not_end_with_a_dot(
    dns: DnsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _, port = dns.address.partition(":")
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"nameserver {host}\nsearch default.svc.cluster.local lan\noptions ndots:5\n")
    monkeypatch.setattr(questions, "RESOLV_CONF", str(conf))
    made = questions._resolver

    def on_another_port(question: DnsSpec) -> Any:
        resolver = made(question)
        resolver.port = int(port)  # the file cannot say it
        return resolver

    monkeypatch.setattr(questions, "_resolver", on_another_port)
    dns.say(NAME, "A", "10.0.0.1", ttl=30)
    looked = await questions.ask(DnsSpec(name="web", port=80, records="a"))
    assert ([one.name for one in looked.answer], looked.ttl_s) == (["10.0.0.1:80"], 30.0)
    dns.asked.clear()
    looked = await questions.ask(DnsSpec(name="web.", port=80, records="a"))
    assert (looked.answer, dns.asked) == ((), ["web A"])
    conf.unlink()
    with pytest.raises(LookupFailedError):
        await questions.ask(DnsSpec(name="web", port=80))
