import pytest

from provd.admin.places import Place, parse_place
from provd.errors import SettingsError, StoreUnavailable
from provd.store.memory import MemoryStore


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/var/lib/provd/provd.db", Place(path="/var/lib/provd/provd.db")),
        ("sqlite:/a/b.db", Place(path="/a/b.db")),
        ("sqlite:///a/b.db", Place(path="/a/b.db")),
        ("/a/../c.db", Place(path="/c.db")),
        ("mongodb://h:1", Place(uri="mongodb://h:1/", name="provd")),
        ("mongodb://h/other", Place(uri="mongodb://h/", name="other")),
        (
            "mongodb://u:p%40@h,h2/n?tls=true",
            Place(uri="mongodb://u:p%40@h,h2/?tls=true&authSource=n", name="n"),
        ),
        (
            "mongodb://u:p@h/n?authSource=admin",
            Place(uri="mongodb://u:p@h/?authSource=admin", name="n"),
        ),
    ],
)
def test_a_place_is_a_path_or_a_uri(text, place):
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "http://h/x", "postgres://h", "mongodb://", "sqlite:"])
def test_other_places_are_refused(text):
    with pytest.raises(SettingsError):
        parse_place(text)


def test_a_password_is_never_shown():
    place = parse_place("mongodb://user:secret@host:27017/name")
    assert str(place) == "mongodb://host:27017/name"
    assert "secret" not in repr(place)
    with pytest.raises(SettingsError, match="not a SQLite file") as raised:
        _ = place.file
    assert "secret" not in str(raised.value)


def test_a_client_that_is_not_installed_is_named(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(StoreUnavailable, match="MongoDB cannot be used here"):
        parse_place("mongodb://h").store(None)


def test_a_file_that_is_not_there_is_empty_to_read(tmp_path):
    place = parse_place(str(tmp_path / "none.db"))
    assert place.is_missing
    assert isinstance(place.store(None, read_only=True), MemoryStore)
