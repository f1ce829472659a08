"""What FlyingVoice phones have of their own: the login, models that are not known."""

import pytest

from provd.errors import InvalidDocument
from tests.unit.plugins import family_cases


@pytest.fixture
def render(load_plugin):
    def render(raw_config, model="FIP13G"):
        device = {**family_cases.device_of("flyingvoice", "FIP13G"), "model": model}
        [file] = load_plugin("provd-flyingvoice", {}).render(
            device, {**family_cases.AUTOPROV, **raw_config}
        )
        return file.content.decode().splitlines()

    return render


def test_a_colon_in_the_name_of_a_login_is_refused(render):
    with pytest.raises(InvalidDocument, match="admin_username: a colon"):
        render({"admin_username": "a:b", "admin_password": "c"})


def test_a_model_that_is_not_known_gets_what_it_asks_for_and_nothing_is_cleared(render):
    lines = render({}, "P54")
    assert "account.1.enable = 1" in lines
    assert not any(line.startswith("account.2.") for line in lines)
