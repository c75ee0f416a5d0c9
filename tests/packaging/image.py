"""The image, built by buildah on stand-ins of its bases, and run read-only as its user.

There is neither an engine nor a registry for it: the stand-ins are made of the packages of Debian
that the real bases are made of, and a container is a few namespaces around the image's files.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from tests.peers import eventually, within

ROOT: Final = Path(__file__).parents[2]

TOOLS: Final = ("buildah", "mmdebstrap", "unshare", "nsenter")

DEBIAN: Final = "docker.io/library/debian:trixie-slim"
DISTROLESS: Final = "gcr.io/distroless/python3-debian13:nonroot"
PYTHON_PACKAGES: Final = (
    "base-files,ca-certificates,libbz2-1.0,libc6,libexpat1,libffi8,libgcc-s1,libgomp1,liblzma5,"
    "libncursesw6,libpython3.13-stdlib,libreadline8t64,libsqlite3-0,libssl3t64,libstdc++6,libuuid1,"
    "media-types,netbase,python3.13-minimal,tzdata,zlib1g"
)
"""What Distroless has in its image; what Debian wants beside it is there too, some MB."""

MERGED: Final = 'for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d"; ln -s usr/$d "$1/$d"; done'
"""What base-files does when it is configured, and here nothing is."""

HELD: Final = ("/etc/ssl/certs", "/etc/pip.conf", "/etc/xdg/pip")
"""How this machine reaches the package index, if it has its own way; not part of any image."""

START_S: Final = 30.0


class Images:
    """Buildah with a storage of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder
        places = ("--root", str(folder / "storage"), "--runroot", str(folder / "run"))
        self._command: Final = ("buildah", *places, "--storage-driver", "vfs")

    def buildah(self, *words: str) -> str:
        """Call it and return what it prints; fail with what it said if it fails."""
        done = subprocess.run([*self._command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stdout[-4000:], done.stderr[-4000:])
        return done.stdout.strip()

    def stand_in(self, name: str, *mmdebstrap: str, **config: str) -> None:
        """Make an image of Debian's packages, under the name of a real one."""
        files = self._folder / "stand-in.tar"
        command = ["mmdebstrap", "--quiet", *mmdebstrap, "trixie", str(files), *_mirrors()]
        subprocess.run(command, check=True, capture_output=True)
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, str(files), "/")
        told = [f"--{key}={value}" for key, value in config.items()]
        self.buildah("config", "--env=LANG=C.UTF-8", *told, container)
        self.buildah("commit", "--quiet", "--rm", container, name)
        files.unlink()

    def build(self, tag: str) -> str:
        """Build ours as anybody would; return its digest."""
        held = [f"--volume={path}:{path}:ro" for path in HELD if Path(path).exists()]
        self.buildah(
            "bud", "--pull-never", "--isolation=chroot", "--network=host", "--timestamp=0", *held,
            f"--tag={tag}", str(ROOT),
        )  # fmt: skip
        digest: str = self.inspect(tag)["FromImageDigest"]
        return digest

    def inspect(self, tag: str) -> dict[str, Any]:
        """Return everything about an image."""
        inspected: dict[str, Any] = json.loads(self.buildah("inspect", "--type=image", tag))
        return inspected

    @contextmanager
    def files(self, tag: str) -> Iterator[Path]:
        """Give the folder that an image's files are in; it can be written to."""
        container = self.buildah("from", tag)
        try:
            yield Path(self.buildah("mount", container))
        finally:
            self.buildah("rm", container)


def _mirrors() -> list[str]:
    """Return where this machine gets its packages; nothing if it is the usual place."""
    places = [*Path("/etc/apt/sources.list.d").glob("debian.sources")]
    return re.findall(r"^URIs: (\S+)$", "\n".join(one.read_text() for one in places), re.M)[:1]


def stand_ins(images: Images) -> None:
    """Make both bases: what is built on, and what is built upon."""
    # Certificates are configured already, because this machine's are mounted over them.
    images.stand_in(DEBIAN, "--variant=minbase", "--include=ca-certificates")
    images.stand_in(
        DISTROLESS,
        "--variant=extract",
        f"--include={PYTHON_PACKAGES}",
        f"--setup-hook={MERGED}",
        "--extract-hook=ln -s python3.13 $1/usr/bin/python3",
        user="65532",
        entrypoint='["/usr/bin/python3.13"]',
    )


class Container:
    """A process of the image, first of its kind in its namespaces."""

    def __init__(
        self, process: asyncio.subprocess.Process, environ: dict[str, str], run: Path
    ) -> None:
        self._process: Final = process
        self._environ: Final = environ
        self._run: Final = run
        self._started: Final = time.monotonic()

    @property
    def pid(self) -> int:
        """Its number out here; in there it is 1."""
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return int(path.read_text().split()[0])

    async def ready(self) -> tuple[dict[str, Any], float]:
        """Wait for the ready file; return what is in it, and how many seconds that took."""
        path = self._run / "ready.json"
        await eventually(
            lambda: path.exists() or self._process.returncode is not None, "the start", START_S
        )
        took_s = time.monotonic() - self._started
        whereabouts: dict[str, Any] = json.loads(path.read_text())
        return whereabouts, took_s

    async def exec(self, *words: str) -> str:
        """Run a command in it, as ``kubectl exec`` does; return what it says."""
        child = await asyncio.create_subprocess_exec(
            "/usr/bin/nsenter", f"--target={self.pid}", "--mount", "--pid", "--root", "--wd=/",
            "--setuid=65532", "--setgid=65532", *words,
            env=self._environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, said = await within(child.communicate(), " ".join(words), START_S)
        assert child.returncode == 0, (words, out, said)
        return out.decode()

    def status(self, key: str) -> str:
        """Return a line of ``/proc/PID/status``."""
        (line,) = re.findall(
            rf"^{key}:\s*(.*)$", Path(f"/proc/{self.pid}/status").read_text(), re.M
        )
        return str(line)

    async def stopped(self, number: int) -> int:
        """Stop it as a kubelet does; return its exit status."""
        os.kill(self.pid, number)
        return await within(self._process.wait(), "the end", START_S)


INSIDE: Final = """
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
for volume in run/hotsplice var/lib/hotsplice etc/hotsplice/config; do
    mount --bind "$2/$volume" "$1/$volume"
done
root=$1
shift 2
exec chroot --userspec=65532:65532 --groups= "$root" "$@"
"""
"""What an engine does: read-only files, volumes, and no rights left."""


@asynccontextmanager
async def container(
    files: Path, config: dict[str, Any], folder: Path, log: Path, **environ: str
) -> AsyncIterator[Container]:
    """Run an image's files as its configuration has it; volumes are folders in ``folder``."""
    for volume in ("run/hotsplice", "var/lib/hotsplice", "etc/hotsplice/config"):
        (files / volume).mkdir(parents=True, exist_ok=True)
        (folder / volume).mkdir(parents=True, exist_ok=True)
        # As an emptyDir is.
        (folder / volume).chmod(0o777)
    env = dict(one.split("=", 1) for one in config["Env"]) | environ
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            _tool("unshare"), "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", INSIDE,
            "container", str(files), str(folder), *config["Entrypoint"], *config["Cmd"],
            env=env | {"PATH": f"{env['PATH']}:/usr/sbin:/sbin:/bin"}, stdout=said, stderr=said,
        )  # fmt: skip
    try:
        yield Container(process, env, folder / "run" / "hotsplice")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


def _tool(name: str) -> str:
    found = shutil.which(name)
    assert found is not None
    return found


def sizes(files: Path) -> dict[str, int]:
    """Return what takes how many octets: the base, each package, and what is around them."""
    ours = files / "opt" / "hotsplice"
    (packages,) = ours.glob("lib/python3*/site-packages")
    owners: dict[str, int] = {"base": _octets(files, lambda path: ours not in path.parents)}
    for record in packages.glob("*.dist-info/RECORD"):
        tops = {line.split("/")[0].split(",")[0] for line in record.read_text().splitlines()}
        name = record.parent.name.split("-")[0]
        owners[name] = sum(_octets(packages / top) for top in tops - {"..", "__pycache__"})
    owners["the environment itself"] = _octets(ours) - sum(
        octets for name, octets in owners.items() if name != "base"
    )
    return dict(sorted(owners.items(), key=lambda one: -one[1]))


def _octets(folder: Path, counts: Callable[[Path], bool] = lambda path: True) -> int:
    if folder.is_file():
        return folder.lstat().st_size
    return sum(
        path.lstat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and counts(path)
    )
