"""A pod of the chart's as processes: told what its containers are told, ended as a kubelet does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.integration.admin.hotsplice import hotsplice
from tests.integration.admin.process import Process, process
from tests.packaging.manifests import Manifest, containers, of_kind, pods
from tests.peers.kubelet import ConfigMapMount


def moved(folder: Path) -> Callable[[str], str]:
    """Return what puts a path of the container, or a socket's, into a folder."""

    def move(value: str) -> str:
        scheme, colon, path = value.rpartition(":")
        return f"{scheme}{colon}{folder}{path}" if path.startswith("/") else value

    return move


def deployed(manifests: list[Manifest]) -> Manifest:
    """Return the pod of the one Deployment."""
    (pod,) = (pod for where, pod in pods(manifests).items() if where.startswith("Deployment/"))
    return pod


def mount(folder: Path, manifests: list[Manifest], address: str) -> dict[str, Any]:
    """Lay out the sidecar's volumes, its document with other ports; return its environment."""
    proxy = containers(deployed(manifests))[0]
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


class Pod:
    """A sidecar and the demo that it stands before."""

    def __init__(
        self,
        spec: Manifest,
        running: tuple[Process, Process],
        environ: dict[str, Any],
        ready: dict[str, Any],
        session: aiohttp.ClientSession,
    ) -> None:
        self._proxy, self._application = containers(spec)
        self._running: Final = running
        self._environ: Final = environ
        self._telemetry: Final = f"http://{ready['telemetry']}"
        self._session: Final = session
        self.address: Final[str] = ready["listeners"]["public"]
        self.grace_s: Final[int] = spec["spec"]["terminationGracePeriodSeconds"]

    async def probe(self, name: str) -> int:
        """Ask as the kubelet does; return the status."""
        return await self._get(self._proxy[f"{name}Probe"]["httpGet"]["path"])

    async def _get(self, path: str) -> int:
        async with self._session.get(self._telemetry + path) as answer:
            return answer.status

    async def delete(self) -> None:
        """End it: every preStop at once, SIGTERM to the application, and then to the sidecar."""
        sidecar, application = self._running

        async def stop_application() -> None:
            assert (
                await self._get(self._application["lifecycle"]["preStop"]["httpGet"]["path"]) == 200
            )
            status, said = await application.terminated()
            assert status == 0, said

        async def stop_sidecar() -> None:
            command = self._proxy["lifecycle"]["preStop"]["exec"]["command"]
            assert command[0] == "hotsplice"
            done = await hotsplice(*command[1:], environ=self._environ)
            assert done.status == 0, done

        await asyncio.gather(stop_sidecar(), stop_application())
        # It has waited for SIGTERM, or the kubelet would have started it again.
        assert sidecar.process.returncode is None
        assert await self.probe("liveness") == 200
        status, said = await sidecar.terminated()
        assert status == 0, said
        assert "Traceback" not in said


@asynccontextmanager
async def pod(
    folder: Path, manifests: list[Manifest], session: aiohttp.ClientSession
) -> AsyncIterator[Pod]:
    """Run one, ready; its ports are the kernel's choice."""
    spec = deployed(manifests)
    proxy, application = containers(spec)
    for name in ("app", "tmp", "proxy"):
        (folder / name).mkdir(parents=True)
    command, *flags = map(moved(folder), application["args"])
    flags[flags.index("--listen") + 1] = "127.0.0.1:0"
    async with process(folder / "app", command, *flags) as behind:
        (address,) = (await behind.ready())["listeners"].values()
        environ = mount(folder, manifests, address)
        admin = environ["HOTSPLICE_ADMIN"]
        async with process(
            folder / "proxy", *proxy["args"], "--admin", admin, **environ
        ) as sidecar:
            ready = await sidecar.ready()
            yield Pod(spec, (sidecar, behind), environ, ready, session)
