"""Settings, flags, environment variables and help pages say the same."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from samovar.doors.cli import exits, options
from samovar.doors.cli.main import NAMES, main
from samovar.errors import SettingsError
from samovar.settings import Network, Settings

SETTINGS = [item.name for item in fields(Settings)]


@click.command()
@options.setting_flags(leave_out={"region"})
def show(**flags: object) -> None:
    settings = options.read_settings(flags, account_id="123456789012")
    click.echo(
        f"{settings.port} {settings.time_scale} {settings.account_id} {settings.interpreters}"
    )


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    result = CliRunner(env={"SAMOVAR_PORT": None, **environment}).invoke(show, arguments)
    return result.exit_code, result.output


def test_flags_win_over_the_environment_and_the_command_over_both() -> None:
    assert run() == (0, "4566 1.0 123456789012 {}\n")
    assert run(SAMOVAR_PORT="1", SAMOVAR_TIME_SCALE="0.5") == (0, "1 0.5 123456789012 {}\n")
    status, output = run("--port", "2", "--account-id", "000000000001", SAMOVAR_PORT="1")
    assert (status, output) == (0, "2 1.0 123456789012 {}\n")


@pytest.mark.parametrize(
    ("arguments", "variable", "kept"),
    [
        ((), None, True),  # as `samovar start` has it
        ((), "off", False),
        ((), "0", False),
        ((), "Yes", True),
        (("--log-files", "OFF"), None, False),
        (("--log-files", "on"), "off", True),
        (("--log-files",), "off", True),
        (("--log-files", "true"), None, True),
    ],
)
def test_a_commands_own_default_gives_way(
    arguments: tuple[str, ...], variable: str | None, kept: bool
) -> None:
    @click.command()
    @options.setting_flags()
    def kept_or_not(**flags: object) -> None:
        click.echo(options.read_settings(flags, {"SAMOVAR_LOG_FILES": "on"}).log_files)

    result = CliRunner(env={"SAMOVAR_LOG_FILES": variable}).invoke(kept_or_not, arguments)
    assert (result.exit_code, result.output) == (0, f"{kept}\n")


def test_several_directories_are_read() -> None:
    read = Settings.from_environment({"SAMOVAR_HOT_RELOAD_ROOTS": "/a/b:~/c:"})
    assert read.hot_reload_roots == (Path("/a/b"), Path.home() / "c")
    here = Settings.from_environment({}, hot_reload_roots=(Path(), Path("b")))
    assert here.hot_reload_roots == (Path.cwd(), Path.cwd() / "b")
    assert Settings(hot_reload_roots=("/x",)).hot_reload_roots == (Path("/x"),)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="must be a sequence of paths"):
        Settings(hot_reload_roots="/x")  # type: ignore[arg-type]


def test_names_of_functions_are_read() -> None:
    read = Settings.from_environment({"SAMOVAR_OFFLINE_FUNCTIONS": " a, b-2_c,,"})
    assert read.offline_functions == ("a", "b-2_c")
    assert Settings.from_environment({}).offline_functions == ()
    assert Settings(offline_functions=["a"]).offline_functions == ("a",)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="offline_functions='abc': must be a sequence of names"):
        Settings(offline_functions="abc")  # type: ignore[arg-type]
    for wrong in ("arn:aws:lambda:us-east-1:000000000000:function:f", "", "f.g", 7):
        with pytest.raises(SettingsError, match=f"{wrong!r} is no function's name"):
            Settings(offline_functions=("f", wrong))  # type: ignore[arg-type]


def test_the_network_is_the_hosts_or_none() -> None:
    assert Settings().network is Network.HOST
    assert Settings(network="none").network is Network.NONE  # type: ignore[arg-type]
    assert Settings.from_environment({"SAMOVAR_NETWORK": "none"}).network is Network.NONE
    with pytest.raises(SettingsError, match="network='no': must be one of host, none"):
        Settings(network="no")  # type: ignore[arg-type]


def test_a_credentials_file_is_found_from_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of")
    settings = Settings.from_environment({"SAMOVAR_CREDENTIALS_FILE": "~/keys"})
    assert settings.credentials_file == Path("/home/of/keys")
    # Set to nothing by mistake, it must not mean «without keys».
    assert Settings.from_environment({"SAMOVAR_CREDENTIALS_FILE": ""}).credentials_file is not None
    assert Settings().credentials_file is None


def test_pairs_are_read() -> None:
    _, output = run("--interpreters", "python3.12=/a, python3.13=/b")
    assert "{'python3.12': '/a', 'python3.13': '/b'}" in output


@pytest.mark.parametrize(
    ("arguments", "variable", "status", "said"),
    [
        (("--port", "tea"), {}, exits.Exit.USAGE, "port='tea': must be a whole number"),
        (("--spares", "1.5"), {}, exits.Exit.USAGE, "spares='1.5': must be a whole number"),
        (("--idle-timeout", "1h"), {}, exits.Exit.USAGE, "idle_timeout='1h': must be a number"),
        (("--log-files", "maybe"), {}, exits.Exit.USAGE, "log_files='maybe': must be on or off"),
        (("--log-size", "1"), {}, exits.Exit.SETTINGS, "must be at least 65536"),
        (("--log-size-total", "65536"), {}, exits.Exit.SETTINGS, "must not be below log_size"),
        (("--log-delivery", "on"), {}, exits.Exit.SETTINGS, "needs aws_endpoint"),
        (("--port", "70000"), {}, exits.Exit.SETTINGS, "between 0 and 65535"),
        (("--isolation", "some"), {}, exits.Exit.USAGE, "auto, namespaces, strict, none"),
        (("--network", "some"), {}, exits.Exit.USAGE, "network='some': must be one of host, none"),
        (("--offline-functions", "a,b:prod"), {}, exits.Exit.SETTINGS, "'b:prod' is no function's"),
        (("--offline-functions", "a b"), {}, exits.Exit.SETTINGS, "'a b' is no function's name"),
        (("--offline-functions", "x" * 65), {}, exits.Exit.SETTINGS, "64 at most"),
        (("--interpreters", "python3.12"), {}, exits.Exit.USAGE, "name=value pairs"),
        ((), {"SAMOVAR_PORT": "tea"}, exits.Exit.SETTINGS, "port='tea': must be a whole number"),
        ((), {"SAMOVAR_PROT": "1"}, exits.Exit.SETTINGS, "did you mean SAMOVAR_PORT?"),
        ((), {"SAMOVAR_TEA": "1"}, exits.Exit.SETTINGS, "SAMOVAR_TEA; there are SAMOVAR_HOST,"),
        (("--region", "x"), {}, exits.Exit.USAGE, "No such option"),
        ((), {"SAMOVAR_REGION": "here"}, exits.Exit.SETTINGS, "like us-east-1"),
        (("--aws-endpoint", "s3:4566"), {}, exits.Exit.SETTINGS, "a URL like http://"),
        (("--aws-endpoint", "http://x:tea"), {}, exits.Exit.SETTINGS, "a URL like http://"),
        (("--time-scale", "-1"), {}, exits.Exit.SETTINGS, "must not be negative"),
        (("--time-scale", "nan"), {}, exits.Exit.SETTINGS, "must not be negative"),
        (("--idle-timeout", "0"), {}, exits.Exit.SETTINGS, "must be positive"),
        (("--freeze-after", "0"), {}, exits.Exit.SETTINGS, "must be a positive number"),
        (("--freeze-after", "inf"), {}, exits.Exit.SETTINGS, "must be a positive number"),
        (("--freeze-after", "nan"), {}, exits.Exit.SETTINGS, "must be a positive number"),
        (("--freeze", "maybe"), {}, exits.Exit.USAGE, "freeze='maybe': must be on or off"),
        (("--init-timeout", "-0.5"), {}, exits.Exit.SETTINGS, "must be positive"),
        (("--max-contexts", "0"), {}, exits.Exit.SETTINGS, "must be at least 1"),
        (("--max-waiting", "-1"), {}, exits.Exit.SETTINGS, "must not be negative"),
        (("--worker-uids", "0-9"), {}, exits.Exit.SETTINGS, "must be two unprivileged uids"),
        (("--worker-uids", "9-5"), {}, exits.Exit.SETTINGS, "must be two unprivileged uids"),
        (("--worker-uids", "51051"), {}, exits.Exit.SETTINGS, "must be two unprivileged uids"),
        (("--worker-uids", "7-65543"), {}, exits.Exit.SETTINGS, "65536 at most"),
        ((), {"SAMOVAR_WORKER_UID": "7"}, exits.Exit.SETTINGS, "mean SAMOVAR_WORKER_UIDS?"),
        ((), {"SAMOVAR_ALLOW_UNSIGNED": "please"}, exits.Exit.SETTINGS, "must be on or off"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_may_be(
    arguments: tuple[str, ...], variable: dict[str, str], status: exits.Exit, said: str
) -> None:
    code, output = run(*arguments, **variable)
    assert code == status
    assert said in output


@pytest.mark.parametrize("account", ["1234", "12345678901a", "\u0660" * 12])
def test_an_account_is_twelve_digits(account: str) -> None:
    with pytest.raises(SettingsError, match="must be 12 digits"):
        Settings(account_id=account)


@pytest.mark.parametrize(
    "region", ["us-east-1", "eu-central-2", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1"]
)
def test_every_form_of_a_region_is_taken(region: str) -> None:
    assert Settings(region=region).region == region


@pytest.mark.parametrize("name", SETTINGS)
def test_start_has_a_flag_for_every_setting(name: str) -> None:
    page = CliRunner().invoke(main, ["start", "--help"]).output
    value = " [on|off]" if isinstance(getattr(Settings(), name), bool) else " VALUE"
    assert f"{options.flag(name)}{value} " in page
    assert f"SAMOVAR_{name.upper()};" in " ".join(page.split())


def test_the_page_and_the_help_carry_the_exit_codes(checkout: Path) -> None:
    page = CliRunner().invoke(main, ["--help"]).output
    reference = (checkout / "docs" / "cli.md").read_text()
    for code in exits.Exit:
        assert f"| {code.value} | {exits.MEANING[code]} |" in reference
        assert f"{code.value}  {exits.MEANING[code]}" in page


@pytest.mark.parametrize("command", NAMES)
def test_every_command_has_examples(command: str) -> None:
    page = CliRunner().invoke(main, [command, "--help"]).output
    assert f"samovar {command}" in page.partition("Example")[2]
