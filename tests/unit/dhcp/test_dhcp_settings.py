"""Section `dhcp` of the settings."""

import pytest

from provd.errors import SettingsError
from provd.settings import load


@pytest.fixture
def load_dhcp(tmp_path):
    """Load settings whose section `dhcp` is that text."""

    def load_text(text):
        path = tmp_path / "config.yml"
        path.write_text(f"dhcp: {{{text}}}\n")
        return load({"config_file": str(path)}).dhcp

    return load_text


def test_no_socket_is_opened_unless_it_is_named(load_dhcp):
    dhcp = load_dhcp("")
    assert (dhcp.socket, dhcp.socket_mode) == (None, 0o660)
    assert (dhcp.socket_owner, dhcp.socket_group) == (None, None)


def test_a_socket_starts_at_the_directory_of_the_file(load_dhcp, tmp_path):
    dhcp = load_dhcp("socket: run/dhcp.sock, socket_mode: '600', socket_group: _kea")
    assert dhcp.socket == str(tmp_path / "run/dhcp.sock")
    assert (dhcp.socket_mode, dhcp.socket_group) == (0o600, "_kea")


@pytest.mark.parametrize("mode", ["0660", "660", "'0888'", "'4755'", "rw", "null"])
def test_a_mode_that_can_be_misread_is_refused(load_dhcp, mode):
    with pytest.raises(SettingsError, match=r"dhcp\.socket_mode: .*octal digits between quotes"):
        load_dhcp(f"socket_mode: {mode}")
