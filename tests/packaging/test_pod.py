"""A pod of the chart's from its start to its deletion, played by what its containers are told."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from admin.demo import ANYWHERE, echo
from admin.listening import listening
from tests.integration.admin.hotsplice import hotsplice
from tests.integration.admin.process import process
from tests.packaging.charts import install
from tests.packaging.manifests import Manifest, containers, of_kind, pods
from tests.packaging.sidecar import sidecar
from tests.peers import within
from tests.peers.kubelet import ConfigMapMount

VALUES = {
    "sidecar": {"drain": {"propagationSeconds": 1, "connectionsSeconds": 3, "appStopSeconds": 0}},
}


def moved(folder: Path) -> Callable[[str], str]:
    """Return what puts a path of the container, or a socket's, into a folder."""

    def move(value: str) -> str:
        scheme, colon, path = value.rpartition(":")
        return f"{scheme}{colon}{folder}{path}" if path.startswith("/") else value

    return move


def mount(folder: Path, manifests: list[Manifest], address: str) -> dict[str, Any]:
    """Lay out the sidecar's volumes, its document with other ports; return its environment."""
    (pod,) = (pod for where, pod in pods(manifests).items() if where.startswith("Deployment/"))
    proxy = containers(pod)[0]
    for one in proxy["volumeMounts"]:
        (folder / one["mountPath"].removeprefix("/")).mkdir(parents=True)
    (config,) = of_kind(manifests, "ConfigMap")
    documents = {
        name: text.replace("0.0.0.0:8080", "127.0.0.1:0").replace(
            '"127.0.0.1:8000": {}', f'"{address}": {{}}'
        )
        for name, text in config["data"].items()
    }
    ConfigMapMount(folder / "etc" / "hotsplice" / "config", documents)
    move = moved(folder)
    return {one["name"]: move(one["value"]) for one in proxy["env"]}


async def test_pod_that_is_deleted_loses_nothing(tmp_path: Path) -> None:
    manifests = install(VALUES)
    (pod,) = (pod for where, pod in pods(manifests).items() if where.startswith("Deployment/"))
    proxy, application = containers(pod)
    async with (
        listening(echo("app"), ANYWHERE) as address,
        aiohttp.ClientSession() as session,
    ):
        environ = mount(tmp_path, manifests, address)
        admin = environ["HOTSPLICE_ADMIN"]
        async with process(tmp_path, *proxy["args"], "--admin", admin, **environ) as running:
            ready = await running.ready()
            telemetry, public = (
                f"http://{ready['telemetry']}",
                f"http://{ready['listeners']['public']}",
            )

            async def probe(name: str) -> int:
                path = proxy[f"{name}Probe"]["httpGet"]["path"]
                async with session.get(telemetry + path) as answer:
                    return answer.status

            async def stop_sidecar() -> int:
                command = proxy["lifecycle"]["preStop"]["exec"]["command"]
                assert command[0] == "hotsplice"
                return (await hotsplice(*command[1:], environ=environ)).status

            async def stop_application() -> int:
                path = application["lifecycle"]["preStop"]["httpGet"]["path"]
                async with session.get(telemetry + path) as answer:
                    return answer.status

            assert [await probe(name) for name in ("startup", "readiness", "liveness")] == [200] * 3
            async with session.ws_connect(f"{public}/ws") as socket:
                await socket.send_str("hello")
                assert await socket.receive_str() == "app: hello"
                began = time.monotonic()
                hooks = asyncio.gather(stop_sidecar(), stop_application())
                while await probe("readiness") == 200:
                    assert not hooks.done()
                assert await probe("liveness") == 200
                # The news has not spread yet, and there are new connections.
                async with aiohttp.ClientSession() as other, other.get(public) as answer:
                    assert (answer.status, answer.headers["Connection"]) == (200, "close")
                told = await within(socket.receive(), "the WebSocket to be told")
                assert (told.type, told.data) == (aiohttp.WSMsgType.CLOSE, 1001)
            assert [*await hooks] == [0, 200]
            assert time.monotonic() - began < pod["spec"]["terminationGracePeriodSeconds"]
            # It waits for SIGTERM, or the kubelet would start it again.
            assert running.process.returncode is None
            assert await probe("liveness") == 200
            status, said = await running.terminated()
            assert status == 0, said


@pytest.mark.parametrize("owner", ["folder", "rest"])
async def test_command_in_the_container_finds_the_api_by_itself(tmp_path: Path, owner: str) -> None:
    async with listening(echo("app"), ANYWHERE) as address:
        environ = mount(tmp_path, install({**VALUES, "configOwner": owner}), address)
        async with process(
            tmp_path, "run", "--admin", environ["HOTSPLICE_ADMIN"], **environ
        ) as running:
            await running.ready()
            shown = await hotsplice("get", "pools/app", environ=environ)
            assert (shown.status, shown.table()[0][1]) == (0, address), shown
            patch = '{"balance": "least_connections"}'
            patched = await hotsplice("patch", "pools/app", patch, environ=environ)
            assert patched.status == (0 if owner == "rest" else 4), patched.err
            words = ("override", "app", address, "drain", "--ttl", "5m")
            overridden = await hotsplice(*words, environ=environ)
            assert overridden.status == 0, overridden.err


async def test_test_hook_is_content_with_an_answer_of_the_application(tmp_path: Path) -> None:
    (hook,) = of_kind(install({"test": {"path": "/hello?a=1"}}), "Pod")
    *python, program = hook["spec"]["containers"][0]["command"]
    assert python == ["python3", "-c"]
    async with sidecar(tmp_path) as running:
        host, _, port = running.public.removeprefix("http://").partition(":")
        asked = program.replace('"shop-hotsplice", 80', f'"{host}", {port}')
        assert asked != program
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", asked, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await within(child.communicate(), "the hook")
        assert (child.returncode, said) == (0, b"200\n")
