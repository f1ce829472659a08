import contextlib
import io
import json
import os

from twisted.internet import defer, reactor, threads
from twisted.python.threadable import isInIOThread
from twisted.web.resource import NoResource, Resource
from wazo_provd.devices.config import RawConfigError
from wazo_provd.devices.ident import DHCPRequest, RequestType
from wazo_provd.devices.pgasso import BasePgAssociator, DeviceSupport
from wazo_provd.plugins import FetchfwPluginHelper, StandardPlugin, TemplatePluginHelper
from wazo_provd.servers.http import (
    HTTPAsyncHookService,
    HTTPHookService,
    HTTPLogService,
    HTTPNoListingFileService,
)
from wazo_provd.servers.http_site import Request
from wazo_provd.servers.tftp.packet import ERR_ACCESS, Packet
from wazo_provd.servers.tftp.service import (
    TFTPFileService,
    TFTPHookService,
    TFTPLogService,
    TFTPNullService,
    TFTPRequest,
    TFTPStringService,
)
from wazo_provd.util import format_mac, norm_mac

NAME_OF_FILE = __file__


class HTTPExtractor:
    def extract(self, request: Request, request_type: RequestType):
        assert request_type is RequestType.HTTP
        agent = request.getHeader(b"User-Agent")
        if not agent or not agent.startswith(b"Rowan "):
            return defer.succeed(None)
        _, model, version, mac = agent.decode("ascii").split()
        return defer.succeed(
            {"vendor": "Rowan", "model": model, "version": version, "mac": norm_mac(mac)}
        )


class TFTPExtractor:
    def extract(self, request: dict, request_type: RequestType):
        assert request_type == "tftp"
        packet: Packet = request["packet"]
        assert packet["opcode"] == b"\x00\x01"
        assert packet["mode"].lower() == b"octet"
        assert request["address"][0].startswith("127.")
        name = os.path.basename(packet["filename"].decode("ascii"))
        if not name.startswith("rowan-"):
            return defer.succeed(None)
        later = defer.Deferred()
        reactor.callLater(0, later.callback, {"vendor": "Rowan", "mac": norm_mac(name[6:18])})
        return later


class DHCPExtractor:
    def extract(self, request: DHCPRequest, request_type: RequestType):
        assert request_type is RequestType.DHCP
        option = request["options"].get(60, "")
        if not option.startswith("rowan:"):
            return defer.succeed(None)
        return defer.succeed({"vendor": "Rowan", "model": option[6:], "options": {"seen": option}})


class Associator(BasePgAssociator):
    def __init__(self):
        pass

    def _do_associate(self, vendor, model, version):
        if vendor != "Rowan":
            return DeviceSupport.IMPROBABLE
        return DeviceSupport.EXACT if model == "R1" else 310


class Upper(Resource):
    """Answers with text, wrongly, and tells what it was asked."""

    isLeaf = True

    def render_GET(self, request):
        request.setResponseCode(202)
        request.setHeader(b"X-Rowan", b"tree")
        device = request.prov_dev
        return "é {} {} {}".format(device and device["mac"], request.path, request.postpath)

    def render_POST(self, request):
        return b"posted " + request.args[b"a"][0]


class Nowhere(Resource):
    _missing = NoResource("nothing of Rowan's here")

    def getChild(self, path, request):
        return self._missing


class Seen(Resource):
    """Tells what the services around others saw."""

    isLeaf = True

    def __init__(self, plugin):
        super().__init__()
        self.plugin = plugin

    def render_GET(self, request):
        plugin = self.plugin
        return json.dumps(
            {
                "hooked": [path.decode() for path in plugin.hooked],
                "logged": plugin.logged,
                "tftp_devices": plugin.tftp_devices,
                "second": plugin.tftp_service.second,
            }
        ).encode()


class Hooked(HTTPHookService):
    def __init__(self, service, seen):
        super().__init__(service)
        self.seen = seen

    def _pre_handle(self, path, request):
        self.seen.append(path)


class Waiting(HTTPAsyncHookService):
    def _pre_handle(self, path, request):
        later = defer.Deferred()
        reactor.callLater(0.01, later.callback, "no matter")
        return later


class Files(HTTPNoListingFileService):
    """A subclass, whose children are of it too."""

    def getChild(self, path, request):
        child = super().getChild(path, request)
        if isinstance(child, HTTPNoListingFileService):
            assert type(child) is Files
        return child


class Tree(Resource):
    """What phones see over HTTP."""

    def __init__(self, plugin):
        super().__init__()
        self.plugin = plugin
        directory = plugin._tftpboot_dir
        self.putChild(b"tree", Upper())
        self.putChild(b"seen", Seen(plugin))
        self.putChild(b"nowhere", Nowhere())
        self.putChild(b"files", Files(directory))
        self.putChild(b"hooked", Hooked(HTTPNoListingFileService(directory), plugin.hooked))
        self.putChild(b"waiting", Waiting(HTTPNoListingFileService(directory)))
        self.putChild(
            b"logged", HTTPLogService(plugin.logged.append, HTTPNoListingFileService(directory))
        )

    def path_preprocess(self, request):
        if request.path.startswith(b"//"):
            request.path = request.path.replace(b"//", b"/")
            request.postpath = request.path.decode().split("/")[1:]


class TFTPTree(TFTPHookService):
    """What phones see over TFTP."""

    def __init__(self, plugin):
        super().__init__(
            TFTPLogService(plugin.logged.append, TFTPFileService(plugin._tftpboot_dir))
        )
        self.plugin = plugin
        self.second = []

    def _pre_handle(self, request: TFTPRequest):
        self.plugin.tftp_devices.append(request["prov_dev"])

    def handle_read_request(self, request, response):
        name = os.path.basename(request["packet"]["filename"]).decode()
        end = name.partition(".")[2]
        if end == "text":
            TFTPStringService("répété").handle_read_request(request, response)
        elif end == "null":
            TFTPNullService(ERR_ACCESS, "not yours").handle_read_request(request, response)
        elif end == "silent":
            response.ignore()
        elif end == "late":
            reactor.callLater(0.05, response.accept, io.BytesIO(b"fw\n"))
        elif end == "twice":
            response.reject(b"\x00\x01", b"once")
            try:
                response.reject(b"\x00\x01", "twice")
            except ValueError:
                self.second.append(name)
        else:
            super().handle_read_request(request, response)


class BaseRowsPlugin(StandardPlugin):
    http_dev_info_extractor = HTTPExtractor()
    tftp_dev_info_extractor = TFTPExtractor()
    dhcp_dev_info_extractor = DHCPExtractor()

    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        self.app, self.gen_cfg, self.spec_cfg = app, gen_cfg, spec_cfg
        self.id_in_constructor = self.id
        self.reactor_thread = isInIOThread()
        self.hooked, self.logged, self.tftp_devices, self.calls = [], [], [], ["constructor"]
        self.pg_associator = Associator()
        self.templates = TemplatePluginHelper(plugin_dir)
        with open(os.path.join(plugin_dir, "var", "cache", "fw.bin"), "wb") as stream:
            stream.write(b"fw\n")
        downloaders = FetchfwPluginHelper.new_downloaders(gen_cfg.get("proxies"))
        downloaders["auth"].add_password("realm", "http://localhost/", "user", "password")
        downloaders["auth"].add_password(None, None, None, None)
        self.helper = FetchfwPluginHelper(plugin_dir, downloaders)
        self.helper.root_dir = os.path.join(self._tftpboot_dir, "firmware")
        self.http_service = Tree(self)
        self.tftp_service = TFTPTree(self)

    def file_of(self, device):
        if not device.get("mac"):
            raise ValueError("MAC address needed")
        return "rowan-{}.cfg".format(format_mac(device["mac"], separator=""))

    def configure_common(self, raw_config):
        self.calls.append("configure_common")
        self.common_keys = set(raw_config)
        raw_config["ip"] = "changed by the plugin"
        os.makedirs(self.helper.root_dir, exist_ok=True)
        template = self.templates.get_template("common/part.tpl")
        self.templates.dump(template, {}, os.path.join(self._tftpboot_dir, "common.cfg"))

    def configure(self, device, raw_config):
        self.calls.append("configure")
        assert isInIOThread()
        if "http_port" not in raw_config or raw_config.get("X_refuse"):
            raise RawConfigError("only over HTTP")
        self.configured_with = dict(raw_config)
        path = os.path.join(self._tftpboot_dir, self.file_of(device))
        template = self.templates.get_dev_template(self.file_of(device), device)
        context = {**raw_config, "name": raw_config["sip_lines"].get("1", {}).get("username", "")}
        self.templates.dump(template, context, path)
        device["mac"] = raw_config["ip"] = "changed by the plugin"

    def deconfigure(self, device):
        self.calls.append("deconfigure")
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self._tftpboot_dir, self.file_of(device)))

    def synchronize(self, device, raw_config):
        def slow():
            assert not isInIOThread()
            reactor.callFromThread(self.app.dev_update, {**device, "description": "synchronised"})

        return threads.deferToThread(slow)

    def get_remote_state_trigger_filename(self, device):
        return self.file_of(device) if device.get("mac") else None

    def is_sensitive_filename(self, filename):
        return filename.startswith("rowan-")

    def close(self):
        with open(os.path.join(self._plugin_dir, "var", "calls"), "a") as stream:
            stream.write(" ".join([*self.calls, "close"]) + "\n")
