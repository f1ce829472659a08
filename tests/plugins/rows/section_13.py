"""Addresses, and the small modules for third parties."""

# ruff: noqa: F821 - the loader and entry.py give names

import os

from twisted.internet import defer
from wazo_provd.devices import config, device, schemas
from wazo_provd.persist import common as persist_common
from wazo_provd.servers.tftp import packet

from wazo_provd import download, loaders, operation, proxy, synchro, util

MAC = "00:11:22:33:44:aa"


def refused(function, *args):
    try:
        function(*args)
    except ValueError:
        return True
    return False


@row("13.norm_mac")
def norm_mac(plugin):
    for text in ("0011223344AA", "00-11-22-33-44-aa", "00:11:22:33:44:AA", "0:11:22:33:44:aa"):
        assert util.norm_mac(text) == MAC
    assert refused(util.norm_mac, "00:11")


@row("13.format_mac")
def format_mac(plugin):
    assert util.format_mac(MAC, separator="", uppercase=True) == "0011223344AA"
    assert util.format_mac("0011223344AA") == MAC


@row("13.to_and_from_mac")
def to_and_from_mac(plugin):
    assert util.to_mac(MAC) == '\x00\x11"3D\xaa'
    assert util.from_mac('\x00\x11"3D\xaa', separator="-", uppercase=True) == "00-11-22-33-44-AA"
    assert util.from_mac(b'\x00\x11"3D\xaa') == MAC


@row("13.ip")
def ip(plugin):
    assert util.norm_ip("10.0.0.1") == "10.0.0.1"
    assert util.to_ip("10.0.0.1") == b"\x0a\x00\x00\x01"
    assert util.from_ip(b"\x0a\x00\x00\x01") == "10.0.0.1"
    assert refused(util.norm_ip, "10.0.0.256")
    assert refused(util.norm_ip, "::1")


@row("13.uuid")
def uuid(plugin):
    text = "2C5F2D7E-0000-4000-8000-000000000001"
    assert util.norm_uuid(text) == text.lower()
    assert refused(util.norm_uuid, "2c5f2d7e")


@row("13.is_normed")
def is_normed(plugin):
    assert util.is_normed_mac(MAC)
    assert not util.is_normed_mac(MAC.upper())
    assert util.is_normed_ip("10.0.0.1")
    assert not util.is_normed_ip("x")
    assert util.is_normed_uuid("2c5f2d7e-0000-4000-8000-000000000001")
    assert not util.is_normed_uuid("2C")


@row("13.bytes")
def text_and_bytes(plugin):
    assert util.decode_bytes(b"a") == "a"
    assert util.encode_bytes("a") == b"a"
    assert util.decode_value(b"a") == "a"


@row("13.operation")
async def operations(plugin):
    part = operation.OperationInProgress("download", operation.OIP_PROGRESS, 10, 100)
    whole = operation.OperationInProgress("install", sub_oips=[part])
    assert whole.state == operation.OIP_WAITING == "waiting"
    assert operation.format_oip(whole) == "install|waiting(download|progress;10/100)"
    waiting = defer.Deferred()
    followed = operation.operation_in_progres_from_deferred(waiting, "x")
    waiting.callback(7)
    assert (followed.state, await waiting) == (operation.OIP_SUCCESS, 7)
    assert operation.OIP_FAIL == "fail"


class Remote:
    size = 3

    def download(self, hooks):
        for hook in hooks:
            hook.start()
            hook.update(3)
            hook.complete()
        return "done"


@row("13.download")
async def downloads(plugin):
    assert await download.async_download(Remote()) == "done"
    deferred, oip = download.async_download_with_oip(Remote())
    assert await deferred == "done"
    assert (oip.state, oip.current, oip.end) == ("success", 3, 3)
    deferred, oip = download.async_download_multiseq_with_oip([Remote(), Remote()])
    await deferred
    assert [part.state for part in oip.sub_oips] == ["success", "success"]
    hook = download.OperationInProgressHook(oip)
    hook.start()
    hook.update(2)
    assert oip.current == 2


@row("13.rwlock")
async def rwlock(plugin):
    lock = synchro.DeferredRWLock()
    await lock.read_lock.acquire()
    waiting = lock.write_lock.acquire()
    assert not waiting.called
    lock.read_lock.release()
    await waiting
    lock.write_lock.release()
    assert await lock.write_lock.run(lambda: 5) == 5
    try:
        lock.write_lock.release()
    except synchro.InvalidLockUsage:
        return
    raise AssertionError


@row("13.proxy")
def proxies(plugin):
    live = {}
    handler = proxy.DynProxyHandler(live)
    assert handler.http_open(object()) is None


@row("13.loader")
def loader(plugin):
    import jinja2

    found = loaders.ProvdFileSystemLoader(os.path.join(plugin._plugin_dir, "templates"))
    assert jinja2.Environment(loader=found).get_template("base.tpl").name == "base.tpl"


@row("13.persist_common")
def persist(plugin):
    assert persist_common.ID_KEY == "id"
    assert issubclass(persist_common.InvalidIdError, Exception)
    assert issubclass(persist_common.NonDeletableError, Exception)


@row("13.devices_config")
def devices_config(plugin):
    assert issubclass(config.RawConfigParamError, config.RawConfigError)
    assert issubclass(config.RawConfigError, Exception)
    made = config.build_autocreate_config({"id": "a", "raw_config": {"sip_lines": {"1": {}}}})
    assert made["parent_ids"] == ["a"]
    assert config.ConfigCollection(plugin.app).find


@row("13.devices_device")
def devices_device(plugin):
    one = {"a": {"b": 1}}
    assert device.copy(one) == one
    assert device.copy(one)["a"] is not one["a"]
    assert device.needs_reconfiguration({"config": "a"}, {"config": "b"})
    assert not device.needs_reconfiguration({"description": "a"}, {"description": "b"})
    assert device.DeviceCollection(plugin.app).find


@row("13.schemas")
def the_schemas(plugin):
    assert schemas.SrtpMode("preferred") == "preferred"
    assert schemas.DtmfMode("SIP-INFO") == "SIP-INFO"
    assert schemas.Transport("tls") == "tls"
    assert schemas.SyslogLevel("info") == "info"
    assert {kind.value for kind in schemas.FuncKeyType} >= {"speeddial", "blf", "park"}
    schemas.DeviceSchema.validate({"id": "a", "tenant_uuid": None})
    assert all((schemas.DeviceDict, schemas.ConfigDict, schemas.RawConfigDict))


@row("13.packets")
def packets(plugin):
    request = packet.parse_dgram(b"\x00\x01name\x00octet\x00blksize\x008\x00")
    assert (request["opcode"], request["filename"]) == (packet.OP_RRQ, b"name")
    sent = packet.build_dgram(packet.err_packet(packet.ERR_FNF, "no"))
    assert sent == b"\x00\x05\x00\x01no\x00"
    assert packet.build_dgram(packet.data_packet(1, b"x")) == b"\x00\x03\x00\x01x"
    assert packet.build_dgram(packet.oack_packet({b"blksize": b"8"})).startswith(b"\x00\x06")
    try:
        packet.parse_dgram(b"")
    except packet.PacketError:
        return
    raise AssertionError
