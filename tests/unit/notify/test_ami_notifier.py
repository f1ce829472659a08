"""Notifying through AMI, over real sockets, with a server that misbehaves as a test tells it to."""

import datetime as dt
import hashlib
import ipaddress
import time

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import defer, reactor, ssl, task
from twisted.internet.protocol import Factory, Protocol

from provd.errors import SynchronizeError
from provd.notify.ami import PING_SECONDS, AmiNotifier, make_endpoint
from provd.notify.interface import Phone

SECRET = "s3cret"
# Twisted's own use of pyOpenSSL's old ways.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


class AmiServer(Factory):
    """An Asterisk that knows one account, and three actions for it."""

    def __init__(self):
        self.connections = []
        self.actions = []
        self.answer = lambda fields: [("Response", "Success"), ("Message", "NOTIFY sent")]
        self.commands = [
            ("ModuleCheck", "Check if module is loaded.  (Priv: system,all)"),
            ("PJSIPNotify", "Send a NOTIFY.  (Priv: system,all)"),
        ]
        self.contacts = [contact(name) for name in ("abc", "next", "one", "two", "grace")]
        self.config = [("Line-000000-000000", "default_outbound_endpoint=dflt")]
        self.cut = None
        """After so many bytes of an answer to PJSIPNotify the connection ends."""
        self.pieces = 0
        """In pieces of so many bytes answers come."""
        self.greeting = b"Asterisk Call Manager/5.0.5\r\n"
        self.silent_to = ()
        self.port = None
        self.number = None

    def buildProtocol(self, addr):
        return AmiServerConnection(self)

    def listen(self, context=None):
        number = self.number or 0
        if context is None:
            self.port = reactor.listenTCP(number, self, interface="127.0.0.1")
        else:
            self.port = reactor.listenSSL(number, self, context, interface="127.0.0.1")
        self.number = self.port.getHost().port
        return self.number

    async def close(self):
        await defer.maybeDeferred(self.port.stopListening)
        for connection in list(self.connections):
            connection.transport.abortConnection()
        await pause(0)
        while self.connections:
            await pause(0.005)

    def named(self, name):
        return [fields for fields in self.actions if dict(fields)["Action"] == name]


def contact(account, host="10.0.0.9", port=5060, agent="phone"):
    return [
        ("Event", "ContactList"),
        ("ObjectName", f"{account};@0f"),
        ("Endpoint", account),
        ("Uri", f"sip:{account}@{host}:{port}"),
        ("ViaAddr", host),
        ("ViaPort", str(port)),
        ("UserAgent", agent),
    ]


def block_of(fields):
    return "".join(f"{key}: {value}\r\n" for key, value in fields).encode() + b"\r\n"


class AmiServerConnection(Protocol):
    def __init__(self, server):
        self.server = server
        self.buffer = b""
        self.challenge = "319742036"

    def connectionMade(self):
        self.server.connections.append(self)
        self.transport.setTcpNoDelay(True)
        self.transport.write(self.server.greeting)

    def connectionLost(self, reason):
        self.server.connections.remove(self)

    def dataReceived(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            block, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            fields = [tuple(line.split(": ", 1)) for line in block.decode().split("\r\n")]
            self.server.actions.append(fields)
            self.obey(dict(fields), fields)

    def obey(self, named, fields):
        name = named["Action"]
        if name in self.server.silent_to:
            return
        if name == "Challenge":
            answer = [("Response", "Success"), ("Challenge", self.challenge)]
        elif name == "Login":
            key = hashlib.md5(f"{self.challenge}{SECRET}".encode()).hexdigest()
            if named.get("Key") == key or named.get("Secret") == SECRET:
                answer = [("Response", "Success"), ("Message", "Authentication accepted")]
            else:
                answer = [("Response", "Error"), ("Message", "Authentication failed")]
        elif name == "Ping":
            answer = [("Response", "Success"), ("Ping", "Pong"), ("Timestamp", "1700000000.1")]
        elif name == "ListCommands":
            answer = [("Response", "Success"), *self.server.commands]
        elif name == "PJSIPShowContacts":
            self.send_contacts(named["ActionID"])
            return
        elif name == "GetConfig":
            answer = [("Response", "Success"), *self.server.config]
        elif name == "PJSIPShowEndpoint":
            known = named["Endpoint"] == "dflt"
            answer = [("Response", "Success" if known else "Error"), ("Message", "no such")]
        else:
            answer = self.server.answer(fields)
        if answer is None:
            return
        self.send(
            answer[0], ("ActionID", named["ActionID"]), *answer[1:], is_notify=name == "PJSIPNotify"
        )

    def send_contacts(self, action_id):
        first = ("ActionID", action_id)
        if not self.server.contacts:
            self.send(("Response", "Error"), first, ("Message", "No Contacts found"))
            return
        blocks = [
            [("Response", "Success"), first, ("EventList", "start")],
            *([fields[0], first, *fields[1:]] for fields in self.server.contacts),
            [("Event", "ContactListComplete"), first, ("EventList", "Complete")],
        ]
        self.transmit(b"".join(block_of(fields) for fields in blocks))

    def send(self, *fields, is_notify=False):
        event = b"Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n"
        data = event + block_of(fields)
        if is_notify and self.server.cut is not None:
            self.transport.write(data[: len(event) + self.server.cut])
            self.transport.loseConnection()
        else:
            self.transmit(data)

    def transmit(self, data):
        if self.server.pieces:
            self.send_pieces(data)
        else:
            self.transport.write(data)

    def send_pieces(self, data):
        if data and self.connected:
            self.transport.write(data[: self.server.pieces])
            reactor.callLater(0, self.send_pieces, data[self.server.pieces :])


def pause(seconds):
    return task.deferLater(reactor, seconds)


async def until(claim, seconds=5.0):
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not happen"
        await pause(0.005)


class Setup:
    def __init__(self, server):
        self.server = server
        self.notifiers = []

    def notifier(self, *, clock=reactor, **options):
        host = options.pop("host", "127.0.0.1")
        tls = options.pop("verify_certificate", None)
        number = options.pop("port", None) or self.server.number
        endpoint = make_endpoint(
            reactor, host, number, tls=tls is not None, verify_certificate=tls or False, timeout=5
        )
        options = {"username": "provd", "secret": SECRET, "timeout": 5.0, **options}
        notifier = AmiNotifier(
            clock, endpoint, where=f"{host}:{number}", jitter=lambda: 0.0, **options
        )
        self.notifiers.append(notifier)
        return notifier

    async def connected(self, **options):
        notifier = self.notifier(**options)
        notifier.start()
        await until(lambda: notifier.status == "ok")
        return notifier


@pytest.fixture
def server():
    return AmiServer()


@pytest.fixture
def setup(server):
    server.listen()
    made = Setup(server)
    yield made

    async def close():
        await pause(0)  # a test ends inside of what the notifier is doing
        for notifier in made.notifiers:
            await notifier.stop()
        await server.close()

    pytest_twisted.blockon(defer.Deferred.fromCoroutine(close()))
    assert [call for call in reactor.getDelayedCalls() if call.active()] == []


def notify(notifier, endpoint="abc", address=None, event="check-sync", variables=(), **known):
    phone = Phone(account=endpoint, address=address, **known)
    return notifier.notify(phone, event=event, variables=variables)


async def failure_of(work):
    with pytest.raises(SynchronizeError) as caught:
        await work
    return str(caught.value)


@pytest_twisted.ensureDeferred
async def test_an_account_is_notified_with_event_and_variables(setup, server):
    notifier = await setup.connected()
    await notify(
        notifier,
        event="check-sync;reboot=true",
        variables=[("Content-Type", "text/plain"), ("Content", "a,b"), ("Content", 'say "x"')],
    )
    (fields,) = server.named("PJSIPNotify")
    assert [field for field in fields if field[0] != "ActionID"] == [
        ("Action", "PJSIPNotify"),
        ("Endpoint", "abc"),
        ("Variable", "Event=check-sync;reboot=true"),
        ("Variable", "Content-Type=text/plain"),
        ("Variable", "Content=a\\,b"),
        ("Variable", 'Content=say \\"x\\"'),
    ]


@pytest_twisted.ensureDeferred
async def test_a_phone_whose_account_is_not_known_is_found_by_its_address(setup, server):
    server.contacts = [contact("abc"), contact("next", "10.0.0.10"), contact("next", "10.0.0.8")]
    notifier = await setup.connected()
    await notify(notifier, endpoint=None, address="10.0.0.10")
    assert ("URI", "sip:next@10.0.0.10:5060") in server.named("PJSIPNotify")[0]


@pytest_twisted.ensureDeferred
async def test_one_of_several_phones_of_an_account_is_notified_by_its_own_contact(setup, server):
    server.contacts = [
        contact("autoprov", port=5070),
        contact("autoprov", port=5072, agent="snomD785/10.1.1.1 000413aabbcc"),
        contact("colleague"),
    ]
    notifier = await setup.connected()
    shared = {"endpoint": "autoprov", "address": "10.0.0.9", "is_shared": True}
    await notify(notifier, mac="00:04:13:aa:bb:cc", rivals=("other",), **shared)
    await notify(notifier, port=5070, rivals=("other",), **shared)
    assert [dict(fields)["URI"] for fields in server.named("PJSIPNotify")] == [
        "sip:autoprov@10.0.0.9:5072",
        "sip:autoprov@10.0.0.9:5070",
    ]
    told = await failure_of(notify(notifier, rivals=("other",), **shared))
    assert "2 devices may be at 10.0.0.9, and none of its contacts tells which" in told


@pytest_twisted.ensureDeferred
async def test_an_unregistered_account_is_a_failure_at_once(setup, server):
    notifier = await setup.connected()
    assert "'nobody' has no registered contact" in await failure_of(notify(notifier, "nobody"))
    server.contacts = []
    assert "'nobody' has no registered contact" in await failure_of(notify(notifier, "nobody"))
    assert server.named("PJSIPNotify") == []


@pytest_twisted.ensureDeferred
async def test_a_phone_that_registered_after_the_list_was_read_is_found(setup, server):
    clock = task.Clock()
    notifier = await setup.connected(clock=clock)
    await notify(notifier)
    server.contacts.append(contact("late"))
    clock.advance(1)
    await notify(notifier, "late")
    assert len(server.named("PJSIPShowContacts")) == 2


@pytest_twisted.ensureDeferred
async def test_without_an_endpoint_for_uris_a_notify_to_one_of_several_contacts_fails(
    setup, server
):
    server.contacts.append(contact("abc", "10.0.0.10"))
    server.config = []
    notifier = await setup.connected()
    told = await failure_of(notify(notifier, address="10.0.0.10"))
    assert "set default_outbound_endpoint in [global] of pjsip.conf" in told
    assert server.named("PJSIPNotify") == []


@pytest_twisted.ensureDeferred
async def test_a_user_who_may_not_notify_is_told_by_the_status(setup, server):
    server.commands = [("Originate", "Originate a call.  (Priv: originate,all)")]
    notifier = setup.notifier()
    notifier.start()
    told = "the AMI user 'provd' lacks write = system in manager.conf"
    await until(lambda: notifier.status == told)
    assert told in await failure_of(notify(notifier))


@pytest_twisted.ensureDeferred
async def test_a_command_that_is_not_known_yet_is_tried_again(setup, server):
    answers = [[("Response", "Error"), ("Message", "Invalid/unknown command: PJSIPNotify.")]]
    server.answer = lambda _fields: (
        answers.pop() if answers else [("Response", "Success"), ("Message", "NOTIFY sent")]
    )
    clock = task.Clock()
    notifier = await setup.connected(clock=clock)
    sent = defer.ensureDeferred(notify(notifier))
    await until(lambda: len(server.named("PJSIPNotify")) == 1)
    await until(lambda: any(call.getTime() == 0.5 for call in clock.getDelayedCalls()))
    clock.advance(0.5)
    await sent
    assert len(server.named("PJSIPNotify")) == 2


@pytest_twisted.ensureDeferred
async def test_a_command_that_never_comes_is_a_failure(setup, server):
    server.answer = lambda _fields: [("Response", "Error"), ("Message", "Invalid/unknown command")]
    notifier = await setup.connected(timeout=0.9)
    assert "Asterisk has no PJSIPNotify" in await failure_of(notify(notifier))


@pytest_twisted.ensureDeferred
async def test_content_without_its_type_is_refused(setup, server):
    notifier = await setup.connected()
    told = await failure_of(notify(notifier, variables=[("Content", "action=reboot")]))
    assert "needs a Content-Type" in told
    assert server.named("PJSIPNotify") == []


@pytest_twisted.ensureDeferred
async def test_where_there_is_chan_sip_alone_its_account_is_notified(setup, server):
    server.commands[1] = ("SIPnotify", "Send a SIP notify.  (Priv: system,all)")
    peer = [("Address-IP", "10.0.0.9"), ("Address-Port", "5060"), ("SIP-Useragent", "phone")]
    server.answer = lambda _fields: [("Response", "Success"), *peer]
    notifier = await setup.connected()
    await notify(notifier, address="10.0.0.9")
    assert ("Channel", "abc") in server.named("SIPnotify")[0]
    assert "but from 10.0.0.9" in await failure_of(notify(notifier, address="10.0.0.10"))
    peer[:2] = [("Address-IP", "(null)"), ("Address-Port", "0")]
    assert "no registered contact" in await failure_of(notify(notifier, address="10.0.0.9"))
    assert len(server.named("SIPnotify")) == 1


@pytest_twisted.ensureDeferred
async def test_an_asterisk_that_sleeps_is_given_no_notify(setup, server):
    notifier = await setup.connected(timeout=0.2)
    await notify(notifier)
    server.silent_to = ("Ping", "PJSIPShowContacts")
    assert "no answer in 0.2 s" in await failure_of(notify(notifier))
    assert len(server.named("PJSIPNotify")) == 1


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("authentication", ["md5", "plain"])
async def test_answers_may_come_byte_by_byte(setup, server, authentication):
    server.pieces = 1
    notifier = await setup.connected(authentication=authentication)
    await notify(notifier)
    login = dict(server.named("Login")[0])
    assert ("Secret" in login) == (authentication == "plain")


@pytest_twisted.ensureDeferred
async def test_an_error_of_asterisk_is_told_with_what_and_where(setup, server):
    server.answer = lambda fields: [
        ("Response", "Error"),
        ("Message", "Unable to retrieve endpoint abc"),
    ]
    notifier = await setup.connected()
    told = await failure_of(notify(notifier))
    assert told == (
        f"NOTIFY 'check-sync' to 'abc' by AMI at 127.0.0.1:{server.number}: "
        "Unable to retrieve endpoint abc"
    )
    assert notifier.status == "ok"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": "abc\r\nAction: Originate"},
        {"event": "check-sync\nX: y"},
        {"variables": [("Content", "a\rb")]},
        {"variables": [("Con\ntent", "a")]},
        {"endpoint": None, "address": "10.0.0.9\r\n"},
        {"endpoint": None, "address": "10.0.0.9>;x"},
        {"endpoint": None},
        {"variables": [("Content", "x" * 2000)]},
    ],
)
async def test_what_cannot_be_said_is_not_sent(setup, server, wrong):
    notifier = await setup.connected()
    await failure_of(notify(notifier, **wrong))
    await notify(notifier, endpoint="next")
    (fields,) = server.named("PJSIPNotify")
    assert ("Endpoint", "next") in fields


@pytest_twisted.ensureDeferred
async def test_answers_out_of_order_reach_those_who_asked(setup, server):
    notifier = await setup.connected()
    server.answer = lambda fields: None
    works = [defer.ensureDeferred(notify(notifier, endpoint=name)) for name in ("one", "two")]
    await until(lambda: len(server.named("PJSIPNotify")) == 2)
    one, two = (dict(fields)["ActionID"] for fields in server.named("PJSIPNotify"))
    (connection,) = server.connections
    connection.send(("Response", "Error"), ("ActionID", two), ("Message", "no two"))
    assert "no two" in await failure_of(works[1])
    connection.send(("Response", "Success"), ("ActionID", one), ("Message", "NOTIFY sent"))
    await works[0]


@pytest_twisted.ensureDeferred
async def test_a_wrong_secret_is_told_and_nothing_waits(setup, server):
    notifier = setup.notifier(secret="wrong")
    notifier.start()
    told = await failure_of(notify(notifier))
    assert "login refused: Authentication failed" in told
    assert "wrong" not in told
    assert "login refused" in notifier.status
    assert "not connected" in await failure_of(notify(notifier))
    assert len(server.named("Login")) == 1


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_there_is_told_at_once(setup, server):
    port = server.number
    await server.close()
    notifier = setup.notifier(port=port)
    notifier.start()
    began = time.monotonic()
    assert "refused" in await failure_of(notify(notifier))
    assert "refused" in await failure_of(notify(notifier))
    assert time.monotonic() - began < 1.0


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("silence", ["Challenge", "PJSIPNotify", "greeting"])
async def test_silence_ends_by_the_timeout(setup, server, silence):
    server.silent_to = (silence,)
    if silence == "greeting":
        server.greeting = b""
    notifier = setup.notifier(timeout=0.1)
    notifier.start()
    began = time.monotonic()
    told = await failure_of(notify(notifier))
    assert time.monotonic() - began < 3.0
    expected = "no answer in 0.1 s" if silence == "PJSIPNotify" else "in 0.1 s|after 0.1 s"
    assert any(text in told for text in expected.split("|"))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\xff" * 1000])
async def test_another_kind_of_server_is_told(setup, server, greeting):
    server.greeting = greeting
    notifier = setup.notifier()
    notifier.start()
    assert "AMI: the server" in await failure_of(notify(notifier))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("cut", [0, 1, 30])
async def test_a_connection_that_ends_within_an_answer_fails_it_and_is_made_again(
    setup, server, cut
):
    notifier = await setup.connected()
    server.cut = cut
    assert "the connection ended" in await failure_of(notify(notifier))
    server.cut = None
    await until(lambda: notifier.status == "ok")
    await notify(notifier)
    assert len(server.named("Login")) == 2


@pytest_twisted.ensureDeferred
async def test_a_server_that_comes_back_is_found_by_the_next_notify(setup, server):
    clock = task.Clock()
    notifier = await setup.connected(clock=clock)
    await server.close()
    await until(lambda: "ended" in notifier.status)
    for _ in range(3):
        await until(lambda: not notifier._loop.is_attempting)
        clock.advance(60 * 1.2)
        await until(lambda: "refused" in notifier.status)
    await until(lambda: not notifier._loop.is_attempting)
    server.listen()
    clock.advance(2)
    await notify(notifier)
    assert notifier.status == "ok"


@pytest_twisted.ensureDeferred
async def test_attempts_grow_apart(setup, server):
    port = server.number
    await server.close()
    clock = task.Clock()
    notifier = setup.notifier(clock=clock, port=port)
    notifier.start()
    delays = []
    for _ in range(8):
        await until(lambda: not notifier._loop.is_attempting)
        (call,) = clock.getDelayedCalls()
        delays.append(round(call.getTime() - clock.seconds()))
        clock.advance(call.getTime() - clock.seconds())
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest_twisted.ensureDeferred
async def test_a_connection_is_kept_alive_and_a_dead_one_is_cut(setup, server):
    clock = task.Clock()
    notifier = await setup.connected(clock=clock)
    clock.advance(PING_SECONDS)
    await until(lambda: len(server.named("Ping")) == 1)
    await until(lambda: [call.getTime() for call in clock.getDelayedCalls()] == [2 * PING_SECONDS])
    server.silent_to = ("Ping",)
    clock.advance(PING_SECONDS)
    await until(lambda: len(server.named("Ping")) == 2)
    clock.advance(5)
    await until(lambda: notifier.status == "Ping: no answer in 5 s")
    await until(lambda: server.connections == [])


@pytest_twisted.ensureDeferred
async def test_who_waits_when_it_stops_is_told(setup, server):
    notifier = await setup.connected()
    server.answer = lambda fields: None
    waiting = defer.ensureDeferred(notify(notifier))
    await until(lambda: server.named("PJSIPNotify"))
    stopping = defer.ensureDeferred(notifier.stop())
    assert "stopped" in await failure_of(waiting)
    await stopping
    assert "stopped" in await failure_of(notify(notifier))


@pytest_twisted.ensureDeferred
async def test_who_waits_for_a_connection_when_it_stops_is_told(setup, server):
    server.silent_to = ("Challenge",)
    notifier = setup.notifier()
    notifier.start()
    waiting = defer.ensureDeferred(notify(notifier))
    await until(lambda: server.actions)
    stopping = defer.ensureDeferred(notifier.stop())
    assert "stopped" in await failure_of(waiting)
    await stopping


@pytest_twisted.ensureDeferred
async def test_too_many_at_once_are_refused(setup, server, monkeypatch):
    monkeypatch.setattr("provd.notify.ami.MAX_WAITING", 3)
    notifier = await setup.connected()
    server.answer = lambda fields: None
    waiting = [defer.ensureDeferred(notify(notifier)) for _ in range(3)]
    await until(lambda: len(server.named("PJSIPNotify")) == 3)
    assert "3 actions wait" in await failure_of(notify(notifier))
    for work in waiting:
        work.cancel()
        with pytest.raises(defer.CancelledError):
            await work
    server.answer = lambda fields: [("Response", "Success")]
    await notify(notifier)


# TLS


def certificate(name, issuer=None):
    """Return a key and a certificate for a host name or address, signed by itself or `issuer`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        alternative = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    now = dt.datetime.now(dt.UTC)
    signer, signing_key = issuer or (subject, key)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signing_key, hashes.SHA256())
    )
    return key, made


def pem(made):
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def tls(tmp_path, server):
    """Return what makes the server speak TLS for a name, and the CA file that vouches for it."""
    ca_key, ca = certificate("Test CA")
    other = certificate("Another CA")[1]
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(pem(other) + pem(ca))

    def listen(name, issuer=(ca.subject, ca_key)):
        key, made = certificate(name, issuer)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        context = ssl.PrivateCertificate.loadPEM(pem(made) + private).options()
        server.listen(context)

    return listen, str(ca_file)


@pytest.fixture
def tls_setup(server):
    made = Setup(server)
    yield made

    async def close():
        await pause(0)  # a test ends inside of what the notifier is doing
        for notifier in made.notifiers:
            await notifier.stop()
        await server.close()

    pytest_twisted.blockon(defer.Deferred.fromCoroutine(close()))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_tls_with_the_right_name_works(tls, tls_setup, server, name):
    listen, ca_file = tls
    listen(name)
    notifier = await tls_setup.connected(host=name, verify_certificate=ca_file)
    await notify(notifier)
    assert len(server.named("PJSIPNotify")) == 1


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("name", ["pbx.example.org", "127.0.0.2"])
async def test_tls_with_another_name_is_refused(tls, tls_setup, server, name):
    listen, ca_file = tls
    listen(name)
    notifier = tls_setup.notifier(host="localhost", verify_certificate=ca_file)
    notifier.start()
    await failure_of(notify(notifier))
    assert "ended" in notifier.status
    assert server.actions == []


@pytest_twisted.ensureDeferred
async def test_tls_of_an_unknown_authority_is_refused(tls, tls_setup, server):
    listen, ca_file = tls
    listen("localhost", issuer=None)
    notifier = tls_setup.notifier(host="localhost", verify_certificate=ca_file)
    notifier.start()
    assert "certificate verify failed" in await failure_of(notify(notifier))
    assert server.actions == []


@pytest_twisted.ensureDeferred
async def test_a_server_without_tls_is_refused(tls, setup, server):
    _, ca_file = tls
    notifier = setup.notifier(host="localhost", verify_certificate=ca_file)
    notifier.start()
    await failure_of(notify(notifier))
    assert server.actions == []


def test_a_ca_file_without_certificates_is_an_error(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="no certificate"):
        make_endpoint(reactor, "localhost", 5039, tls=True, verify_certificate=str(path), timeout=5)
