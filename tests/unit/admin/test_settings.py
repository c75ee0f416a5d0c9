from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from admin.settings import CheckSettings, ImportSettings, RunSettings, parse


def run(*flags: str, environ: Mapping[str, str] | None = None) -> RunSettings:
    settings = parse(["run", *flags], environ or {})
    assert isinstance(settings, RunSettings)
    return settings


def refused(capsys: pytest.CaptureFixture[str], *argv: str, **environ: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        parse(argv, environ)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_defaults_are_those_of_the_contract() -> None:
    settings = run()
    assert (settings.admin.text, settings.telemetry.text) == ("127.0.0.1:9901", "0.0.0.0:9902")
    assert (settings.drain_timeout_s, settings.drain_accept_s) == (25.0, 5.0)
    assert (settings.admin_auth, settings.access_log) == ("token", "errors")
    assert (settings.log_level, settings.log_format) == ("info", "json")
    assert (settings.config, settings.ready_file, settings.admin_token_file) == (None, None, None)


def test_flags_are_read() -> None:
    settings = run(
        "--config", "c.yaml", "--admin", "unix:/run/a.sock", "--telemetry", "[::1]:0",
        "--ready-file", "r", "--drain-timeout", "1m30s", "--drain-accept", "500ms",
        "--access-log", "all", "--log-level", "debug", "--log-format", "console",
        "--admin-auth", "off",
    )  # fmt: skip
    assert settings.config == Path("c.yaml")
    assert (settings.admin.kind, settings.admin.path) == ("unix", "/run/a.sock")
    assert (settings.telemetry.host, settings.telemetry.port) == ("::1", 0)
    assert (settings.drain_timeout_s, settings.drain_accept_s) == (90.0, 0.5)


def test_twin_is_read_and_the_flag_wins() -> None:
    environ = {"HOTSPLICE_DRAIN_TIMEOUT": "40s", "HOTSPLICE_ADMIN": "127.0.0.1:1"}
    settings = run("--admin", "127.0.0.1:2", environ=environ)
    assert (settings.drain_timeout_s, settings.admin.port) == (40.0, 2)


def test_empty_twin_counts_as_unset() -> None:
    assert run(environ={"HOTSPLICE_CONFIG": ""}).config is None


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--admin", "9901"),
        ("--admin", "localhost"),
        ("--admin", "unix:relative"),
        ("--telemetry", "unix:/run/t.sock"),
        ("--drain-timeout", "25"),
        ("--access-log", "some"),
        ("--log-level", "loud"),
        ("--admin-auth", "none"),
    ],
)
def test_bad_value_is_refused_with_its_flag(
    capsys: pytest.CaptureFixture[str], flag: str, value: str
) -> None:
    assert f"{flag}:" in refused(capsys, "run", flag, value)


def test_bad_value_in_the_environment_names_the_variable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "run", HOTSPLICE_DRAIN_TIMEOUT="soon")
    assert "HOTSPLICE_DRAIN_TIMEOUT:" in said


def test_hint_of_a_bad_value_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert "25s" in refused(capsys, "run", "--drain-timeout", "25")


def test_abbreviated_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--drain-time" in refused(capsys, "run", "--drain-time", "5s")


def test_no_auth_beyond_loopback_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "run", "--admin", "0.0.0.0:9901", "--admin-auth", "off")
    assert "--admin-auth off" in said


def test_no_token_file_beyond_loopback_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--admin-token-file" in refused(capsys, "run", "--admin", "0.0.0.0:9901")
    assert run("--admin", "0.0.0.0:9901", "--admin-token-file", "t").admin.host == "0.0.0.0"


def test_accepting_for_longer_than_the_drain_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "--drain-accept" in refused(capsys, "run", "--drain-timeout", "3s")


def test_demo_listens_on_loopback_without_auth() -> None:
    settings = parse(["demo"], {})
    assert isinstance(settings, RunSettings)
    assert settings.listen is not None
    assert settings.listen.text == "127.0.0.1:8080"
    assert (settings.admin.text, settings.admin_auth) == ("127.0.0.1:9901", "off")
    assert settings.telemetry.text == "127.0.0.1:9902"


def test_demo_beyond_loopback_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "loopback" in refused(capsys, "demo", "--admin", "0.0.0.0:9901")


def test_check_takes_a_file() -> None:
    assert parse(["check", "c.yaml"], {}) == CheckSettings(Path("c.yaml"))


@pytest.mark.parametrize("argv", [[], ["dance"], ["check"]])
def test_command_line_without_sense_is_refused(
    capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    assert "usage: hotsplice" in refused(capsys, *argv)


@pytest.mark.parametrize("command", ["run", "demo"])
def test_help_names_every_twin(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse([command, "--help"], {})
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert "HOTSPLICE_DRAIN_TIMEOUT" in said
    assert said.count("HOTSPLICE_") == said.count("\n  --")


def test_nginx_conf_is_read_and_excludes_a_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--nginx-conf", "nginx.conf").nginx_conf == Path("nginx.conf")
    assert run(environ={"HOTSPLICE_NGINX_CONF": "a"}).nginx_conf == Path("a")
    assert "--nginx-conf" in refused(capsys, "run", "--nginx-conf", "a", "--config", "b")


def test_nginx_conf_may_be_imported_leniently(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("--nginx-conf", "a").lenient
    assert run("--lenient", "--nginx-conf", "a").lenient
    assert not run("--nginx-conf", "a", "--lenient", "off").lenient
    assert run("--nginx-conf", "a", environ={"HOTSPLICE_LENIENT": "on"}).lenient
    assert "--lenient: it is for --nginx-conf" in refused(capsys, "run", "--lenient")
    assert "HOTSPLICE_LENIENT" in refused(
        capsys, "run", "--nginx-conf", "a", HOTSPLICE_LENIENT="perhaps"
    )


def test_check_and_import_take_an_nginx_conf() -> None:
    assert parse(["check", "--nginx", "a"], {}) == CheckSettings(Path("a"), nginx=True)
    assert parse(["import-nginx", "a"], {}) == ImportSettings(Path("a"))
    assert parse(["import-nginx", "--lenient", "a"], {}) == ImportSettings(Path("a"), lenient=True)
