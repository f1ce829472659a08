import pytest

from provd.errors import SettingsError
from provd.store.mongo.address import format_host, parse_address, parse_host


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("db.example:27017", ("db.example", 27017)),
        ("[2001:db8::1]:27018", ("2001:db8::1", 27018)),
        ("db.example", None),
        ("db.example:", None),
        (":27017", None),
        ("db.example:port", None),
    ],
)
def test_a_server_is_read_from_what_others_say_of_it(text, host):
    assert parse_host(text) == host


@pytest.mark.parametrize("text", ["db.example:27017", "[2001:db8::1]:27018"])
def test_a_server_is_written_as_it_is_read(text):
    assert format_host(parse_host(text)) == text


def test_an_address_names_its_servers_in_order():
    address = parse_address("mongodb://one,[::1]:27018/?replicaSet=rs0&maxPoolSize=3")
    assert address.text == "one:27017,[::1]:27018"
    assert (address.replica_set, address.connections, address.direct) == ("rs0", 3, False)
    assert (address.user, address.tls) == (None, False)


def test_a_password_is_shown_in_no_representation():
    assert "s3cret" not in repr(parse_address("mongodb://user:s3cret@one"))


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("mongodb+srv://one", "name the hosts instead"),
        ("mongodb://one:x", "cannot be used"),
        ("mongodb://%2Ftmp%2Fmongodb.sock", "sockets of files"),
        ("mongodb://one/?tls=true&tlsInsecure=true", "tlsinsecure is refused"),
        ("mongodb://u:p@one/?authMechanism=MONGODB-X509", "not supported"),
        ("mongodb://one/?authMechanism=SCRAM-SHA-256", "needs a user"),
        ("mongodb://u:s3c/ret@one", "percent-encoded"),
        ("mongodb://one/?tls=true&tlsCAFile=/none.pem", "/none.pem"),
    ],
)
def test_an_address_that_cannot_be_used_says_why_and_quotes_no_password(uri, reason):
    with pytest.raises(SettingsError) as caught:
        parse_address(uri)
    assert reason in str(caught.value)
    assert "s3c" not in str(caught.value)
