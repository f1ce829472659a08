"""Configure services are made of parameter objects, and may remember their values."""

import json
import os

import pytest

from provd.compat import services
from provd.compat.services import (
    AttrConfigurationServiceParameter,
    BaseConfigurationService,
    DictConfigurationServiceParameter,
    InvalidParameterError,
    JsonConfigPersister,
    PersistentConfigurationServiceDecorator,
)


class Holder:
    user = "u"


def check(value):
    if value == "bad":
        raise InvalidParameterError("bad is not allowed")


@pytest.fixture
def data():
    return {}


@pytest.fixture
def service(data):
    return BaseConfigurationService(
        {
            "user": AttrConfigurationServiceParameter(
                Holder(), "user", "The user", check_fun=check, description_fr="Le compte"
            ),
            "colour": DictConfigurationServiceParameter(data, "c", check_fun=check),
        }
    )


def test_an_attribute_is_read_and_written(service):
    assert service.get("user") == "u"
    service.set("user", "v")
    assert service.get("user") == "v"


def test_a_dict_member_is_absent_for_none(service, data):
    assert service.get("colour") is None
    service.set("colour", "red")
    assert data == {"c": "red"}
    service.set("colour", None)
    service.set("colour", None)
    assert data == {}


@pytest.mark.parametrize("name", ["user", "colour"])
def test_a_value_that_the_check_refuses_changes_nothing(service, name):
    before = service.get(name)
    with pytest.raises(InvalidParameterError):
        service.set(name, "bad")
    assert service.get(name) == before


def test_an_unknown_name_is_a_key_error(service):
    with pytest.raises(KeyError):
        service.get("nothing")
    with pytest.raises(KeyError):
        service.set("nothing", "1")


def test_descriptions_are_listed_in_order_and_by_language(service):
    assert service.description == [("user", "The user"), ("colour", None)]
    assert service.description_fr == [("user", "Le compte")]
    assert not hasattr(service, "description_de")
    assert not hasattr(service, "other")


class Persister:
    def __init__(self, **params):
        self.saved = params

    def params(self):
        return dict(self.saved)

    def update(self, name, value):
        self.saved[name] = value


def test_persisted_values_are_replayed_and_bad_ones_left_out(service, data, caplog):
    persister = Persister(colour="red", gone="1", user="bad")
    decorated = PersistentConfigurationServiceDecorator(service, persister)
    assert decorated.get("colour") == "red"
    assert decorated.get("user") == "u"
    assert len(caplog.records) == 2


def test_only_a_value_that_was_set_is_persisted(service):
    persister = Persister()
    decorated = PersistentConfigurationServiceDecorator(service, persister)
    decorated.set("user", "v")
    with pytest.raises(InvalidParameterError):
        decorated.set("colour", "bad")
    with pytest.raises(KeyError):
        decorated.set("nothing", "1")
    assert persister.saved == {"user": "v"}


def test_other_attributes_come_from_the_decorated_service(service):
    decorated = PersistentConfigurationServiceDecorator(service, Persister())
    assert decorated.description == service.description
    assert decorated.description_fr == service.description_fr
    assert not hasattr(decorated, "description_de")


def test_a_json_persister_keeps_values_over_a_restart(tmp_path):
    path = str(tmp_path / "config.json")
    persister = JsonConfigPersister(path)
    assert persister.params() == {}
    persister.update("a", "é")
    persister.update("b", None)
    assert JsonConfigPersister(path).params() == {"a": "é", "b": None}
    assert json.loads((tmp_path / "config.json").read_bytes()) == {"a": "é", "b": None}


def test_its_parameters_are_a_copy(tmp_path):
    persister = JsonConfigPersister(str(tmp_path / "config.json"))
    persister.params()["a"] = 1
    assert persister.params() == {}


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b""])
def test_an_unusable_file_counts_as_empty_with_a_warning(tmp_path, caplog, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    assert JsonConfigPersister(str(path)).params() == {}
    assert len(caplog.records) == 1


def test_a_write_that_fails_keeps_file_and_values(tmp_path):
    path = tmp_path / "config.json"
    persister = JsonConfigPersister(str(path))
    persister.update("a", 1)
    with pytest.raises(TypeError):
        persister.update("b", object())
    assert persister.params() == {"a": 1}
    assert json.loads(path.read_bytes()) == {"a": 1}
    assert os.listdir(tmp_path) == ["config.json"]


def test_abstract_services_cannot_be_made_without_their_methods():
    for base in (
        services.AbstractConfigurationService,
        services.AbstractInstallationService,
        services.AbstractConfigurationServiceParameter,
    ):
        with pytest.raises(TypeError):
            base()


def test_a_subclass_may_set_its_description_in_the_constructor():
    class Own(services.IConfigureService):
        def __init__(self):
            self.description = [("a", None)]

        def get(self, name):
            return name

        def set(self, name, value):
            pass

    assert Own().description == [("a", None)]


def test_names_of_the_older_generation_are_the_same_classes():
    assert services.PersistentConfigureServiceDecorator is PersistentConfigurationServiceDecorator
    assert services.BaseConfigureService is BaseConfigurationService
    assert services.AttrConfigureServiceParam is AttrConfigurationServiceParameter
    assert services.DictConfigureServiceParam is DictConfigurationServiceParameter
