"""The image is built and run, without an engine and without its real base: opt-in, 3 minutes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from admin.demo import ANYWHERE, echo
from admin.listening import listening
from tests.packaging.charts import install
from tests.packaging.image import TOOLS, Images, container, sizes, stand_ins
from tests.packaging.manifests import containers, pods

pytestmark = [
    pytest.mark.skipif("HOTSPLICE_TEST_IMAGE" not in os.environ, reason="make image-test"),
    pytest.mark.skipif(
        os.getuid() != 0 or not all(map(shutil.which, TOOLS)),
        reason=f"needs root and {', '.join(TOOLS)}",
    ),
    pytest.mark.timeout(900),
]

TAG = "localhost/hotsplice:test"

MOST = 40_000_000
"""Octets beside the base's; what they are made of is printed."""


class Built(NamedTuple):
    """The image, and a place where its files are."""

    images: Images
    config: dict[str, Any]
    digest: str
    files: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    images = Images(tmp_path_factory.mktemp("images"))
    stand_ins(images)
    digest = images.build(TAG)
    with images.files(TAG) as files:
        yield Built(images, images.inspect(TAG)["Docker"]["config"], digest, files)


def test_image_says_what_the_chart_takes_for_granted(built: Built) -> None:
    config = built.config
    assert (config["Entrypoint"], config["Cmd"]) == (["hotsplice"], ["run"])
    assert config["StopSignal"] == "SIGTERM"
    assert config["Labels"]["org.opencontainers.image.title"] == "hotsplice"
    (pod,) = (one for where, one in pods(install({})).items() if where.startswith("Deployment/"))
    proxy = containers(pod)[0]
    context = proxy["securityContext"]
    assert config["User"] == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert set(config["Volumes"]) == {
        one["mountPath"] for one in proxy["volumeMounts"] if not one.get("readOnly")
    }
    told = {one["name"]: one["value"] for one in proxy["env"]}
    ours = dict(one.split("=", 1) for one in config["Env"])
    assert {key: value for key, value in ours.items() if key.startswith("HOTSPLICE_")} == {
        key: told[key] for key in ("HOTSPLICE_ADMIN", "HOTSPLICE_STATE_DIR")
    }


def test_nothing_is_in_it_that_is_not_needed(built: Built) -> None:
    paths = [path for path in built.files.rglob("*") if not path.is_symlink()]
    files = [path for path in paths if path.is_file()]
    unwanted = {"sh", "bash", "dash", "apt", "dpkg", "pip", "pip3", "gcc", "cc", "as", "ld"}
    assert [path for path in files if path.name in unwanted] == []
    assert [path for path in files if path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)] == []
    owned = [path for path in paths if path.stat().st_uid == 65532]
    volumes = [built.files / volume.lstrip("/") for volume in built.config["Volumes"]]
    assert sorted(owned) == sorted(volumes)
    ours = built.files / "opt" / "hotsplice"
    modules = list(ours.rglob("*.py"))
    assert len(modules) > 500
    assert [path for path in modules if not [*path.parent.glob(f"__pycache__/{path.stem}.*")]] == []
    table = sizes(built.files)
    print(*(f"{octets / 1e6:6.1f} MB  {name}" for name, octets in table.items()), sep="\n")
    assert sum(octets for name, octets in table.items() if name != "base") < MOST


async def test_image_runs_read_only_as_its_user(built: Built, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with (
        listening(echo("blue"), ANYWHERE) as blue,
        listening(echo("green"), ANYWHERE) as green,
    ):
        folder = tmp_path / "volumes"
        document = folder / "etc" / "hotsplice" / "config" / "hotsplice.json"
        document.parent.mkdir(parents=True)
        document.write_text(
            json.dumps(
                {
                    "version": 1,
                    "listeners": {"public": {"bind": "127.0.0.1:0"}},
                    "pools": {"app": {"endpoints": {"one": {"address": blue}}}},
                    "routes": {"all": {"path": {"prefix": "/"}, "pool": "app"}},
                }
            )
        )
        environ = {
            "HOTSPLICE_CONFIG": "/etc/hotsplice/config/hotsplice.json",
            "HOTSPLICE_READY_FILE": "/run/hotsplice/ready.json",
            "HOTSPLICE_TELEMETRY": "127.0.0.1:0",
            "HOTSPLICE_DRAIN_ACCEPT": "0s",
        }
        async with (
            container(built.files, built.config, folder, log, **environ) as running,
            aiohttp.ClientSession() as session,
        ):
            ready, took_s = await running.ready()
            print(f"ready after {took_s * 1000:.0f} ms, resident {running.status('VmRSS')}")
            assert running.status("Uid").split() == ["65532"] * 4
            assert int(running.status("CapEff"), 16) == 0
            public = f"http://{ready['listeners']['public']}"
            telemetry = f"http://{ready['telemetry']}"

            async def said(url: str) -> str:
                async with session.get(url) as answer:
                    assert answer.status == 200
                    return await answer.text()

            assert json.loads(await said(public))["endpoint"] == "blue"
            patch = json.dumps({"endpoints": {"one": {"address": green}}})
            await running.exec("hotsplice", "patch", "pools/app", patch)
            assert json.loads(await said(public))["endpoint"] == "green"
            assert "hotsplice_config_revision 2.0" in await said(f"{telemetry}/metrics")
            # What the chart's test hook is run by.
            assert await running.exec("python3", "-c", "print(6 * 7)") == "42\n"
            with pytest.raises(AssertionError, match="Read-only file system"):
                await running.exec("python3", "-c", "open('/opt/hotsplice/x', 'w')")
            await running.exec("hotsplice", "drain", "--wait")
            assert await said(f"{telemetry}/drained") == "drained\n"
            assert await running.stopped(signal.SIGTERM) == 0, log.read_text()
        assert (folder / "var" / "lib" / "hotsplice" / "state").is_dir()


def test_image_is_the_same_when_it_is_built_again(built: Built) -> None:
    assert built.images.build("localhost/hotsplice:again") == built.digest
