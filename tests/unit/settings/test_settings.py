import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import SettingsError
from provd.settings import (
    PROVD,
    WAZO,
    Defaults,
    Settings,
    base_raw_config,
    default_route_address,
    files,
    keys,
    load,
    loading,
    main,
    rawconfig,
)
from provd.settings.layers import merge
from provd.settings.schema import Key, read_schema

ROOT = Path(__file__).parents[3]
TENANT = "11111111-2222-4333-8444-555555555555"
OTHER_TENANT = "66666666-7777-4888-9999-aaaaaaaaaaaa"


def fake_address():
    return "192.0.2.7"


class Place:
    """A directory with a main settings file and its conf.d."""

    def __init__(self, directory):
        self.directory = directory
        self.main = directory / "config.yml"
        self.extra = directory / "conf.d"
        self.extra.mkdir()
        self.write("")

    def write(self, text):
        self.main.write_text(f"extra_config_files: conf.d\n{text}", encoding="utf-8")

    def write_extra(self, name, text):
        path = self.extra / name
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, defaults=PROVD, **options):
        return load(
            {"config_file": str(self.main), **options},
            defaults=defaults,
            find_address=fake_address,
        )

    def error(self, text, **options):
        self.write(text)
        with pytest.raises(SettingsError) as caught:
            self.load(**options)
        return str(caught.value)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def value_at(settings, path):
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


def unguessed(warnings):
    return [text for text in warnings if "advertised_http_url" not in text]


# Sources and merge


def test_command_line_beats_conf_d_beats_main_file_beats_defaults(place):
    place.write("general: {tftp_port: 1001, direct_renders: 1}\nrest_api: {port: 1001}")
    place.write_extra("10-ports.yml", "general: {tftp_port: 1002}\nrest_api: {port: 1002}")
    settings = place.load(rest_port=1003)
    assert settings.rest_api.port == 1003
    assert settings.general.tftp_port == 1002
    assert settings.general.direct_renders == 1
    assert settings.general.http_proxied_listen_port == 18667


def test_first_file_of_conf_d_in_alphabetical_order_wins(place):
    place.write_extra("50-network.yml", "general: {tftp_port: 50, verbose: true}")
    place.write_extra("01-site.yml", "general: {tftp_port: 1}")
    settings = place.load()
    assert settings.general.tftp_port == 1
    assert settings.general.verbose is True


def test_only_visible_yml_files_of_conf_d_are_read(place):
    for name in (".hidden.yml", "old.yml.bak", "readme.yaml"):
        place.write_extra(name, "general: {tftp_port: 1}")
    assert place.load().general.tftp_port == 69


def test_explicit_null_is_a_value(place):
    place.write("general: {http_proxied_listen_port: 1, http_auth_strategy: url_key}")
    place.write_extra("a.yml", "general: {http_proxied_listen_port: null, http_auth_strategy: }")
    general = place.load().general
    assert general.http_proxied_listen_port is None
    assert general.http_auth_strategy is None


def test_null_where_a_value_is_needed_stops_the_start(place):
    message = place.error("general: {tftp_port: null}")
    assert "general.tftp_port: null is not a port" in message


def test_section_with_all_keys_commented_out_hides_nothing(place):
    place.write("general: {tftp_port: 1, syncdb: {start_sec: 3}}\nplugin_config: {p: {a: 1}}")
    place.write_extra("a.yml", "general:\n  syncdb:\nplugin_config:\n  p:\ntenants:\n")
    settings = place.load()
    assert settings.general.tftp_port == 1
    assert settings.general.syncdb.start_sec == 3
    assert settings.plugin_config == {"p": {"a": 1}}


def test_plugin_config_merges_deeply_and_keeps_dots_of_ids(place):
    place.write("plugin_config: {xivo-a-1.0: {x: {a: 1, b: 1}, list: [1, 2]}, other: {y: 1}}")
    place.write_extra("a.yml", "plugin_config: {xivo-a-1.0: {x: {b: 2}, list: [3]}}")
    assert place.load().plugin_config == {
        "xivo-a-1.0": {"x": {"a": 1, "b": 2}, "list": [3]},
        "other": {"y": 1},
    }


documents = st.recursive(
    st.sampled_from([None, 0, 1, "", "x", True]) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
mappings = st.dictionaries(st.sampled_from("abc"), documents, max_size=3)


@given(low=mappings, high=mappings)
def test_merge_keeps_all_of_the_higher_source_and_of_the_lower_what_it_does_not_touch(low, high):
    def check(merged, low, high):
        assert merged.keys() == low.keys() | high.keys()
        for name, value in merged.items():
            if isinstance(low.get(name), dict) and isinstance(high.get(name), dict):
                check(value, low[name], high[name])
            else:
                assert value == (high[name] if name in high else low[name])

    check(merge(low, high), low, high)


def test_missing_default_main_file_is_told_on_stderr_and_starts(tmp_path, capsys):
    defaults = Defaults(
        "test",
        {
            "config_file": str(tmp_path / "none.yml"),
            "extra_config_files": str(tmp_path / "none.d"),
        },
    )
    settings = load({"config_file": None}, defaults=defaults, find_address=fake_address)
    assert f"{tmp_path / 'none.yml'}: No such file or directory" in capsys.readouterr().err
    assert settings.general.tftp_port == 69
    assert not unguessed(settings.warnings)


def test_missing_main_file_named_by_the_user_stops_the_start(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.yml: No such file or directory"):
        load({"config_file": str(tmp_path / "none.yml")})


def test_invalid_main_file_stops_the_start_with_line_and_column(place):
    message = place.error("general:\n  tftp_port: [1, 2\nrest_api: {}")
    assert message.startswith(f"{place.main}: line 4, column 9: ")


def test_main_file_that_is_not_a_mapping_stops_the_start(place):
    place.main.write_text("- a\n- b\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="a mapping of sections is expected"):
        place.load()


@pytest.mark.parametrize(
    "content", [b"general: \xff\xfe\x00", b"a: 2024-13-45", b"\x00", b"? [a]\n: 1"]
)
def test_file_that_is_not_yaml_is_a_settings_error(place, content):
    place.main.write_bytes(content)
    with pytest.raises(SettingsError, match=re.escape(str(place.main))):
        place.load()


def test_empty_main_file_gives_the_defaults(place):
    place.main.write_text("", encoding="utf-8")
    assert place.load().rest_api.port == 8666


@pytest.mark.parametrize("text", ["general: [", "- 1", "general: !exec {command: }"])
def test_invalid_conf_d_file_is_skipped_with_a_warning(place, text):
    bad = place.write_extra("01-bad.yml", text)
    place.write_extra("02-good.yml", "general: {tftp_port: 2}")
    settings = place.load()
    assert settings.general.tftp_port == 2
    (warning,) = unguessed(settings.warnings)
    assert warning.startswith(str(bad))
    assert warning.endswith("the file is skipped")


def test_unreadable_conf_d_file_is_skipped_with_a_warning(place):
    (place.extra / "a.yml").mkdir()
    (warning,) = unguessed(place.load().warnings)
    assert warning == f"{place.extra / 'a.yml'}: Is a directory; the file is skipped"


def test_conf_d_that_is_named_but_missing_is_warned_of(place):
    place.extra.rmdir()
    assert unguessed(place.load().warnings) == [f"{place.extra}: No such file or directory"]


def test_key_that_occurs_twice_is_warned_of(place):
    place.write("general: {tftp_port: 1}\nrest_api: {}\ngeneral: {verbose: true}")
    settings = place.load()
    assert settings.general.tftp_port == 69
    assert unguessed(settings.warnings) == [
        f"{place.main}: line 4: general occurs twice; the last one counts"
    ]


# !exec


def script(place, body):
    path = place.directory / "script.py"
    path.write_text(body, encoding="utf-8")
    return f"{sys.executable} {path}"


def test_exec_replaces_a_whole_file_by_the_output_of_a_command(place):
    command = script(place, "print('general: {tftp_port: 5069}')")
    place.write_extra("50-network.yml", f"!exec\ncommand: {command}\n")
    settings = place.load()
    assert settings.general.tftp_port == 5069
    assert not unguessed(settings.warnings)


def test_exec_replaces_one_value_and_drops_stderr(place, capfd):
    command = script(place, "import sys; print('noise', file=sys.stderr); print(5069)")
    place.write(f"general:\n  tftp_port: !exec\n    command: {command}\n")
    assert place.load().general.tftp_port == 5069
    assert "noise" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise SystemExit(3)", "exit status 3"),
        ("print('[')", "its output is not YAML"),
        ("import time; time.sleep(60)", "no end after 0.1 seconds"),
        ("print('!exec {command: ls}')", "its output is not YAML"),
    ],
)
def test_failing_exec_in_conf_d_never_stops_the_start(place, monkeypatch, body, reason):
    if "sleep" in body:
        monkeypatch.setattr(files, "_EXEC_TIMEOUT", 0.1)
    bad = place.write_extra("50-network.yml", f"!exec\ncommand: {script(place, body)}\n")
    (warning,) = unguessed(place.load().warnings)
    assert warning.startswith(f"{bad}: line 1, column 1: !exec ")
    assert reason in warning


def test_missing_exec_command_in_conf_d_never_stops_the_start(place):
    place.write_extra("50-network.yml", "!exec\ncommand: /no/such/command provd/network.yml\n")
    (warning,) = unguessed(place.load().warnings)
    assert "No such file or directory" in warning


def test_failing_exec_in_the_main_file_stops_the_start(place):
    message = place.error("general: !exec {command: /no/such/command}")
    assert message.startswith(f"{place.main}: line 2, column 10: !exec ")


# Values


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("general.tftp_port", "abc"),
        ("general.tftp_port", 65536),
        ("general.tftp_port", -1),
        ("general.tftp_port", True),
        ("general.tftp_port", 6.9),
        ("general.advertised_http_url", "pbx.example.org:8667"),
        ("general.advertised_http_url", "ftp://pbx.example.org"),
        ("general.advertised_http_url", "http://pbx:99999"),
        ("general.advertised_http_url", "http://pbx\nevil"),
        ("general.http_auth_strategy", "basic"),
        ("general.sync_service_type", "carrier_pigeon"),
        ("sip.listen_interface", "::1"),
        ("ami.authentication", "none"),
        ("general.http_proxied_trusted_proxies_count", -1),
        ("general.retriever", "../../tmp/x"),
        ("general.plugin_server", "plugins"),
        ("general.base_storage_dir", ""),
        ("general.verbose", "yes please"),
        ("general.syncdb.interval_sec", -0.1),
        ("general.syncdb.interval_sec", float("nan")),
        ("general.syncdb", 5),
        ("general", [1]),
        ("rest_api.ip", "no good"),
        ("rest_api.ip", "::g"),
        ("auth.type", "ldap"),
        ("auth.port", 0),
        ("auth.timeout", 0),
        ("database.type", "postgres"),
        ("proxy.http", "http://proxy:8080/path"),
        ("proxy.https", "http://proxy:8080"),
        ("proxy.https", "proxy"),
        ("limits.tftp_transfers", 0),
        ("limits.creation_rate", float("inf")),
        ("plugin_config.p", 1),
        ("tenants.main", {}),
    ],
)
def test_wrong_value_stops_the_start_and_names_file_and_key(place, path, value):
    document = value
    for name in reversed(path.split(".")):
        document = {name: document}
    message = place.error(yaml.safe_dump(document))
    assert message.startswith(f"{place.main}: {path.removesuffix('.main')}: ")
    assert "; allowed: " in message
    assert "\n" not in message


def test_message_of_a_wrong_port_says_everything(place):
    assert place.error("general: {tftp_port: abc}") == (
        f"{place.main}: general.tftp_port: 'abc' is not a port; "
        "allowed: integer 1 to 65535 (0 = any free port)"
    )


def test_wrong_value_of_conf_d_names_that_file(place):
    path = place.write_extra("a.yml", "rest_api: {port: many}")
    assert place.error("rest_api: {port: 1}").startswith(f"{path}: rest_api.port: ")


def test_wrong_value_of_the_command_line_names_the_command_line(place):
    assert place.error("", tftp_port="many").startswith("command line: general.tftp_port: ")


@pytest.mark.parametrize(
    ("path", "written", "read"),
    [
        ("general.tftp_port", "'6969'", 6969),
        ("general.tftp_port", "0", 0),
        ("general.http_listen_port", "0", 0),
        ("general.http_listen_interface", "'*'", ""),
        ("general.http_listen_interface", "null", ""),
        ("general.http_proxied_listen_port", "0", 0),
        ("general.http_proxied_trusted_proxies_count", "null", None),
        ("general.syncdb.interval_sec", "0.1", 0.1),
        ("general.syncdb.start_sec", "0", 0),
        ("general.plugin_server", "file:///srv/plugins/", "file:///srv/plugins/"),
        ("rest_api.ip", "'*'", ""),
        ("rest_api.ip", "'::1'", "::1"),
        ("rest_api.port", "0", 0),
        ("auth.prefix", "''", None),
        ("auth.verify_certificate", "/etc/ssl/ca.pem", "/etc/ssl/ca.pem"),
        ("proxy.http", "http://u:p@proxy:3128", "http://u:p@proxy:3128"),
        ("proxy.https", "proxy:3128", "proxy:3128"),
    ],
)
def test_allowed_value_is_read(place, path, written, read):
    section, _, name = path.rpartition(".")
    text = f"{name}: {written}"
    for outer in reversed(section.split(".")):
        text = f"{outer}: {{{text}}}"
    place.write(text)
    settings = place.load()
    assert value_at(settings, path) == read
    assert type(value_at(settings, path)) is type(read)


@given(
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet="aA0 :/.@[]*-_%\0\n\u0660\xe9")
    | st.lists(st.integers())
    | st.dictionaries(st.sampled_from("ab"), st.integers())
)
def test_every_kind_accepts_or_refuses_any_value_but_never_fails_otherwise(value):
    def walk(cls):
        for entry in read_schema(cls).values():
            if isinstance(entry, Key):
                try:
                    kept = entry.kind.parse(value)
                except (TypeError, ValueError):
                    continue
                assert isinstance(kept, bool | int | float | str | list | None)
            elif entry is not None:
                walk(entry)

    walk(Settings)


@pytest.mark.parametrize(
    "text",
    [
        "auth: {password: 31337}",
        "bus: {password: [31337]}",
        "database: {uri: 'http://u:31337@host'}",
        "proxy: {http: 'http://u:31337@host/path'}",
        f"tenants: {{{TENANT}: {{provisioning_key: '31337'}}}}",
    ],
)
def test_wrong_secret_is_not_repeated_in_the_message(place, text):
    message = place.error(text)
    assert "31337" not in message
    assert "the value is not " in message


def test_secrets_are_not_in_the_repr(place):
    place.write(
        "auth: {username: u, password: s3cret}\nbus: {password: s3cret}\n"
        "database: {uri: 'mongodb://u:s3cret@h'}\nproxy: {https: 's3cret:1', http: 'http://a:s3cret@b'}\n"
        f"plugin_config: {{p: {{k: s3cret}}}}\ntenants: {{{TENANT}: {{provisioning_key: s3cret00}}}}"
    )
    assert "s3cret" not in repr(place.load())


def test_unknown_key_is_warned_of_with_the_nearest_name(place):
    place.write(
        "general: {tftp_prot: 1, zzzzzz: 1}\nlisten_interface: x\nrest_api: {http_listen_port: 1}"
    )
    assert sorted(unguessed(place.load().warnings)) == [
        f"{place.main}: unknown key general.tftp_prot; did you mean general.tftp_port?",
        f"{place.main}: unknown key general.zzzzzz is ignored",
        f"{place.main}: unknown key listen_interface; did you mean sip.listen_interface?",
        (
            f"{place.main}: unknown key rest_api.http_listen_port; "
            "did you mean general.http_listen_port?"
        ),
    ]


def test_notifying_by_ami_needs_a_secret(place):
    place.write("general: {sync_service_type: ami}")
    with pytest.raises(SettingsError, match=r"ami\.secret: needed"):
        place.load()
    place.write("general: {sync_service_type: ami}\nami: {secret: s3cret}")
    assert place.load().ami.secret == "s3cret"
    assert "s3cret" not in repr(place.load())


def test_tenants_merge_and_take_the_form_of_the_persisted_map(place):
    place.write(f"tenants: {{{OTHER_TENANT}: {{provisioning_key: aaaaaaaa}}, {TENANT}: }}")
    place.write_extra(
        "a.yml", f"tenants: {{{OTHER_TENANT.upper()}: {{provisioning_key: bbbbbbbb}}}}"
    )
    assert place.load().tenants == {
        OTHER_TENANT: {"provisioning_key": "bbbbbbbb"},
        TENANT: {"provisioning_key": None},
    }


def test_two_tenants_may_not_share_a_provisioning_key(place):
    message = place.error(
        f"tenants: {{{TENANT}: {{provisioning_key: aaaaaaaa}}, "
        f"{OTHER_TENANT}: {{provisioning_key: aaaaaaaa}}}}"
    )
    assert f"tenants.{OTHER_TENANT}.provisioning_key: tenant {TENANT} has this key" in message
    assert "aaaaaaaa:" not in message


def test_rest_tls_needs_both_files_and_is_deprecated(place):
    message = place.error("rest_api: {ssl: true, ssl_certfile: c.pem}")
    assert "rest_api.ssl_keyfile: needed as rest_api.ssl is true" in message
    place.write("rest_api: {ssl: true, ssl_certfile: c.pem, ssl_keyfile: k.pem}")
    settings = place.load()
    assert settings.rest_api.ssl_certfile == str(place.directory / "c.pem")
    assert any("rest_api.ssl is deprecated" in text for text in settings.warnings)


# What is worked out


def test_relative_paths_start_at_the_main_file_or_at_the_storage(place):
    place.write(
        "general: {base_storage_dir: state, cache_dir: ../cache, plugins_dir: /srv/plugins}\n"
        "logging: {file: log/provd.log}\nauth: {verify_certificate: ca.pem}"
    )
    settings = place.load()
    state = place.directory / "state"
    assert settings.general.base_storage_dir == str(state)
    assert settings.general.cache_dir == str(place.directory.parent / "cache")
    assert settings.general.plugins_dir == "/srv/plugins"
    assert settings.logging.file == str(place.directory / "log/provd.log")
    assert settings.auth.verify_certificate == str(place.directory / "ca.pem")
    assert settings.auth.tokens_file == str(state / "tokens.json")
    assert settings.auth.admin_token_file == str(state / "admin-token")
    assert settings.database.file == str(state / "provd.db")
    assert settings.database.json_db_dir == str(state / "jsondb")


def test_command_line_options_reach_their_settings(place, monkeypatch):
    monkeypatch.chdir(place.directory)
    settings = place.load(
        config_dir="conf", state_dir="var", rest_port="1", http_port=2, tftp_port="0", verbose=True
    )
    general = settings.general
    assert general.request_config_dir == str(place.directory / "conf")
    assert general.base_storage_dir == str(place.directory / "var")
    assert general.cache_dir == str(place.directory / "var/cache")
    assert (settings.rest_api.port, general.http_listen_port, general.tftp_port) == (1, 2, 0)
    assert general.verbose is True
    assert settings.config_file == str(place.main)


def test_options_that_are_not_given_change_nothing(place):
    place.write("general: {verbose: true, tftp_port: 5}")
    names = ("config_dir", "rest_port", "http_port", "tftp_port", "state_dir")
    settings = place.load(verbose=False, stderr=0, **dict.fromkeys(names))
    assert settings.general.verbose is True
    assert settings.general.tftp_port == 5


def test_key_file_gives_the_service_name_and_password(place):
    (place.directory / "key.yml").write_text("service_id: me\nservice_key: pw\n", encoding="utf-8")
    place.write("auth: {key_file: key.yml, username: other, password: other}")
    auth = place.load().auth
    assert (auth.type, auth.username, auth.password) == ("wazo", "me", "pw")


@pytest.mark.parametrize("content", ["[", "- 1", "service_id: me", "service_id: 1\nservice_key: 2"])
def test_unusable_key_file_is_warned_of_and_keeps_the_other_source(place, content):
    (place.directory / "key.yml").write_text(content, encoding="utf-8")
    place.write("auth: {key_file: key.yml, username: me, password: pw}")
    settings = place.load()
    assert (settings.auth.username, settings.auth.password) == ("me", "pw")
    (warning,) = unguessed(settings.warnings)
    assert warning.startswith("auth.key_file: ")


def test_auth_is_local_without_a_key_file(place):
    assert place.load().auth.type == "local"


def test_auth_is_local_with_a_warning_where_the_key_file_is_missing(place):
    place.write("auth: {key_file: key.yml}")
    settings = place.load()
    assert settings.auth.type == "local"
    (warning,) = unguessed(settings.warnings)
    assert warning.endswith("key.yml is not there, so local tokens are used")


def test_auth_wazo_without_any_credential_is_warned_of(place):
    place.write("auth: {type: wazo}")
    (warning,) = unguessed(place.load().warnings)
    assert "no service name and password" in warning


def test_local_auth_leaves_the_key_file_alone(place):
    place.write("auth: {type: local, key_file: none.yml}")
    settings = place.load()
    assert settings.auth.type == "local"
    assert not unguessed(settings.warnings)


def test_plugin_server_defaults_to_the_installed_repository(place, tmp_path, monkeypatch):
    repository = tmp_path / "share" / "provd" / "repository"
    repository.mkdir(parents=True)
    (repository / "plugins.db").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert place.load().general.plugin_server == f"{repository.as_uri()}/"


def test_plugin_server_is_null_when_no_repository_came_with_provd(place, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(loading, "__file__", str(tmp_path / "provd" / "settings" / "loading.py"))
    assert place.load().general.plugin_server is None


def test_wazo_profile_has_the_old_daemons_places(place):
    place.write("general: {base_raw_config_file: base.json}")
    (place.directory / "base.json").write_text('{"X_comment": "x"}', encoding="utf-8")
    settings = place.load(defaults=WAZO)
    assert settings.general.base_storage_dir == "/var/lib/wazo-provd"
    assert settings.database.json_db_dir == "/var/lib/wazo-provd/jsondb"
    assert settings.general.plugin_server == "http://provd.wazo.community/plugins/2/stable/"
    assert settings.logging.security_file == "/var/log/wazo-provd-fail2ban.log"
    assert settings.auth.type == "local"
    assert settings.auth.key_file == "/var/lib/wazo-auth-keys/wazo-provd-key.yml"
    assert settings.database.type == "json"


def test_wazo_profile_needs_its_base_raw_config_file(tmp_path):
    main_file = tmp_path / "config.yml"
    main_file.write_text("general: {base_raw_config_file: gone.json}", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"gone\.json: No such file"):
        load({"config_file": str(main_file)}, defaults=WAZO)


# Base raw config


def test_base_raw_config_comes_from_the_advertised_url(place):
    place.write("general: {advertised_http_url: 'https://pbx.example.org/prov', tftp_port: 6969}")
    settings = place.load()
    assert not settings.warnings
    assert base_raw_config(settings) == {
        "http_base_url": "https://pbx.example.org/prov",
        "ip": "pbx.example.org",
        "http_port": 8667,
        "tftp_port": 6969,
    }


def test_base_raw_config_file_wins_over_what_is_worked_out(place):
    given = {"X_comment": "x", "ip": "10.0.0.1", "http_port": "80", "tftp_port": 70, "locale": "fr"}
    (place.directory / "base.json").write_text(json.dumps(given), encoding="utf-8")
    place.write("general: {base_raw_config_file: base.json, advertised_http_url: 'http://h:1'}")
    assert base_raw_config(place.load()) == {
        **given,
        "http_port": 80,
        "http_base_url": "http://h:1",
    }


def test_unknown_url_is_guessed_from_the_default_route_with_a_warning(place):
    place.write("general: {http_listen_port: 8080}")
    settings = place.load()
    (warning,) = settings.warnings
    assert "general.advertised_http_url is not set" in warning
    assert "192.0.2.7" in warning
    assert base_raw_config(settings, find_address=fake_address) == {
        "http_base_url": "http://192.0.2.7:8080",
        "ip": "192.0.2.7",
        "http_port": 8080,
        "tftp_port": 69,
    }


def test_guess_uses_the_address_of_the_base_raw_config_file(place):
    (place.directory / "base.json").write_text('{"ip": "fd00::1"}', encoding="utf-8")
    place.write("general: {base_raw_config_file: base.json}")
    settings = place.load()
    assert not settings.warnings
    raw_config = base_raw_config(settings, find_address=fake_address)
    assert raw_config["http_base_url"] == "http://[fd00::1]:8667"
    assert raw_config["ip"] == "fd00::1"


def test_bound_ports_replace_port_zero(place):
    place.write("general: {http_listen_port: 0, tftp_port: 0}")
    raw_config = base_raw_config(
        place.load(), find_address=fake_address, http_port=40001, tftp_port=40002
    )
    assert raw_config["http_base_url"] == "http://192.0.2.7:40001"
    assert (raw_config["http_port"], raw_config["tftp_port"]) == (40001, 40002)


@pytest.mark.parametrize(
    "content", ["{", "[]", "\xff", '{"http_port": "x"}', '{"http_base_url": 5}']
)
def test_unusable_base_raw_config_file_is_a_settings_error(place, content):
    path = place.directory / "base.json"
    path.write_bytes(content.encode("latin-1"))
    place.write("general: {base_raw_config_file: base.json}")
    with pytest.raises(SettingsError, match=re.escape(str(path))):
        base_raw_config(place.load())


def test_address_of_the_default_route_is_an_address_of_this_machine():
    address = default_route_address()
    assert re.fullmatch(r"(\d+\.){3}\d+", address)
    assert address != "0.0.0.0"


def test_address_without_any_route_is_the_loopback(monkeypatch):
    class Unreachable:
        def __init__(self, *args):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *args):
            pass

        def connect(self, address):
            raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(rawconfig.socket, "socket", Unreachable)
    assert default_route_address() == "127.0.0.1"


# The command


def test_check_prints_warnings_and_ok(place, capsys):
    place.write("general: {advertised_http_url: 'http://h:1', verbos: true}")
    assert main(["--check", "-f", str(place.main)]) == 0
    out = capsys.readouterr().out
    assert "did you mean general.verbose?" in out
    assert out.endswith("OK\n")


def test_check_prints_one_line_and_fails(place, capsys):
    place.write("general: {tftp_port: abc}")
    assert main(["--check", "-f", str(place.main)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith(f"{place.main}: general.tftp_port: ")


def test_module_imports_without_twisted():
    code = "import sys, provd.settings; sys.exit(any(m.startswith('twisted') for m in sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# Packaged files and documentation


def packaged_settings():
    """Return config.yml with the "#" of every commented key removed."""
    text = (ROOT / "etc/provd/config.yml").read_text(encoding="utf-8")
    return yaml.safe_load(re.sub(r"(?m)^( *)#(?=[a-z_]+:)", r"\1", text))


def flattened(document, prefix=""):
    for name, value in document.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{name}.")
        elif f"{prefix}{name}" not in {"plugin_config", "tenants"}:
            yield f"{prefix}{name}", value


def documented_settings():
    """Return name -> default of the tables of docs/settings.md."""
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    text = text[text.index("## All keys") :]
    rows = re.findall(r"(?m)^\| `([a-z_.]+)` \| [^|]+ \| `([^|]*)` \| .*\|$", text)
    return {name: yaml.safe_load(default) for name, default in rows}


def test_packaged_file_shows_every_setting_with_its_default():
    expected = {name: default for name, default, _ in keys() if name != "config_file"}
    assert dict(flattened(packaged_settings())) == expected


def test_packaged_file_changes_nothing_as_it_is(tmp_path):
    path = ROOT / "etc/provd/config.yml"
    empty = tmp_path / "config.yml"
    empty.write_text("", encoding="utf-8")
    packaged = load({"config_file": str(path)}, find_address=fake_address)
    bare = load({"config_file": str(empty)}, find_address=fake_address)
    assert packaged.general == bare.general
    assert packaged.limits == bare.limits
    assert packaged.tenants == bare.tenants == {}
    assert packaged.warnings == bare.warnings


def test_packaged_file_is_still_valid_with_every_key_set(tmp_path):
    path = tmp_path / "config"
    document = {**packaged_settings(), "extra_config_files": str(tmp_path)}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert not unguessed(load({"config_file": str(path)}, find_address=fake_address).warnings)


def test_packaged_base_raw_config_is_a_comment_only():
    document = json.loads((ROOT / "etc/provd/base_raw_config.json").read_text(encoding="utf-8"))
    assert document.keys() == {"X_comment"}


def test_every_setting_is_documented_with_its_default():
    assert documented_settings() == {name: default for name, default, _ in keys()}


def test_documented_defaults_of_wazo_provd_are_those_of_the_profile():
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    section = text[text.index("## Under the name wazo-provd") : text.index("## All keys")]
    documented = dict(re.findall(r"(?m)^\| `([a-z_.]+)` \| `([^`]+)` \|$", section))
    provd = {name: default for name, default, _ in keys(PROVD)}
    assert documented == {n: d for n, d, _ in keys(WAZO) if d != provd[n]}


def test_error_message_in_the_documentation_is_the_real_one(place):
    message = place.error("general: {tftp_port: abc}").replace(
        str(place.main), "/etc/provd/config.yml"
    )
    assert message in (ROOT / "docs/settings.md").read_text(encoding="utf-8")


def test_unit_starts_the_daemon_unprivileged():
    unit = (ROOT / "systemd/provd.service").read_text(encoding="utf-8").splitlines()
    assert "User=provd" in unit
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in unit
    (start,) = [line for line in unit if line.startswith("ExecStart=")]
    assert start.split(maxsplit=1)[1] == (
        "--nodaemon --no_save --pidfile= --logger provd.logs.observer provd"
    )


def test_every_path_is_absolute_once_loaded(place):
    settings = place.load()
    for path, _, _ in keys():
        value = value_at(settings, path)
        if path.endswith(("_dir", "_file")) and isinstance(value, str):
            assert os.path.isabs(value)


def test_the_command_line_says_where_to_listen(place):
    settings = place.load(listen="192.0.2.1", rest_ip="127.0.0.2", rest_port=1003)
    general = settings.general
    assert general.http_listen_interface == general.tftp_listen_interface == "192.0.2.1"
    assert (settings.rest_api.ip, settings.rest_api.port) == ("127.0.0.2", 1003)
