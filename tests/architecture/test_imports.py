"""Who may import whom.  ARCHITECTURE.md says why."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, imported, is_within, modules

PURE = (
    "proxy/routing/",
    "proxy/headers/",
    "proxy/steps/",
    "proxy/upstream/balancing/",
    "proxy/upstream/health.py",
    "proxy/exchange/retry.py",
    "proxy/framing.py",
    "proxy/splice/frames.py",
    "proxy/splice/pings.py",
)
PARSERS = {"proxy/downstream/request_parser.py", "proxy/upstream/response_parser.py"}


def importers(*packages: str, at_run_time: bool = False, of: tuple[str, ...]) -> list[str]:
    """Return where one of some modules is imported, as ``path:line module``."""
    return [
        f"{path}:{line} {module}"
        for path, tree in modules(*packages).items()
        for module, line in imported(tree, at_run_time=at_run_time)
        if any(is_within(module, package) for package in of)
    ]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_import_contract_is_kept() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("proxy/spec/pool.py", "import admin.settings", "The data plane knows nothing"),
        ("proxy/route.py", "from proxy import snapshot", "Layers of the data plane"),
        ("proxy/splice/relay.py", "import proxy.upstream.endpoint", "Layers of the data plane"),
        ("proxy/novelty.py", "", "Layers of the data plane"),
        ("proxy/server.py", "import pydantic", "The data plane runs on plain data"),
        (
            "admin/client/output.py",
            "import admin.documents.document",
            "The client runs on the standard",
        ),
        ("admin/runtime.py", "import proxy.errors", "The client runs on the standard"),
    ],
)
def test_a_breach_of_a_contract_is_found(
    tmp_path: Path, module: str, line: str, broken: str
) -> None:
    for path in [ROOT / "pyproject.toml", *ROOT.glob("proxy/**/*.py"), *ROOT.glob("admin/**/*.py")]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert any(said.startswith(broken) and "BROKEN" in said for said in done.stdout.splitlines()), (
        done.stdout
    )


def test_pure_modules_know_no_event_loop() -> None:
    assert all((ROOT / path).exists() for path in PURE)
    found = importers("proxy", of=("asyncio", "aiohttp", "uvloop"))
    assert [where for where in found if where.startswith(PURE)] == []


def test_the_parsers_of_aiohttp_are_used_in_one_module_a_side() -> None:
    users = importers("proxy", "admin", at_run_time=True, of=("aiohttp.http_parser",))
    assert {where.partition(":")[0] for where in users} == PARSERS


def test_command_of_the_client_loads_the_standard_library_alone() -> None:
    program = textwrap.dedent("""
        import sys
        before = set(sys.modules)
        from admin.__main__ import main
        status = main(["get", "pools", "--admin", "unix:/nowhere"])
        print(*(set(sys.modules) - before))
        sys.exit(status)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    loaded = done.stdout.split()
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"admin"}
    ours = {name for name in loaded if is_within(name, "admin") and name != "admin"}
    assert {name for name in ours if not is_within(name, "admin.client")} == {
        "admin.__main__",
        "admin.environment",
        "admin.runtime",
    }
    # These take longer to load than all of the client does.
    assert not {"asyncio", "dataclasses", "inspect", "tempfile"} & set(loaded)


def test_what_only_some_configurations_need_is_not_loaded_for_all() -> None:
    program = "import sys, admin.app; print(*{'dns', 'ctypes'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_the_environment_is_read_in_one_place() -> None:
    readers = [
        f"{path}:{node.lineno}"
        for path, tree in modules("proxy", "admin").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.ImportFrom) and _is_environment(node)
    ]
    assert [where for where in readers if not where.startswith("admin/environment.py:")] == []


def _is_environment(node: ast.Attribute | ast.ImportFrom) -> bool:
    names = {"environ", "environb", "getenv", "getenvb"}
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in names for alias in node.names)
    return node.attr in names and ast.unparse(node.value) == "os"


def test_an_import_is_seen_wherever_it_stands() -> None:
    tree = ast.parse(
        textwrap.dedent("""
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                import asyncio
            else:
                import a.b
            def late():
                from c import d
        """)
    )
    everything = {module for module, _ in imported(tree)}
    at_run_time = {module for module, _ in imported(tree, at_run_time=True)}
    assert everything - at_run_time == {"asyncio"}
    assert {"a.b", "c", "c.d"} <= at_run_time
