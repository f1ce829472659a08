"""What plugins import is there, below both roots, and is one thing under all its names."""

import ast
import json
import os
import subprocess
import sys
import threading

import pytest
from twisted.internet import defer

import provd
from provd import compat
from provd.plugin.host import PluginHost

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SURFACE = {
    "abstract_plugin": "AbstractPlugin",
    "plugins": (
        "Plugin StandardPlugin TemplatePluginHelper FetchfwPluginHelper add_xivo_phonebook_url"
        " add_xivo_phonebook_url_from_format add_wazo_phoned_user_service_url PluginManager"
        " AbstractPluginManagerObserver BasePluginManagerObserver PluginNotLoadedError"
        " AsyncInstallerController"
    ),
    "synchronize": (
        "standard_sip_synchronize SynchronizeException AMIError AsteriskAMISynchronizeService"
        " register_sync_service unregister_sync_service get_sync_service get_AMID_client"
    ),
    "tzinform": (
        "get_timezone_info TimezoneNotFoundError Time week_start_on_monday TextTimezoneInfoDB"
        " NativeTimezoneInfoDB DefaultTimezoneInfoDB"
    ),
    "devices": "config device ident pgasso schemas",
    "devices.config": "RawConfigError RawConfigParamError ConfigCollection build_autocreate_config",
    "devices.device": "copy needs_reconfiguration DeviceCollection",
    "devices.ident": (
        "RequestType DHCPRequest REQUEST_TYPE_HTTP REQUEST_TYPE_TFTP REQUEST_TYPE_DHCP"
        " StandardDeviceInfoExtractor CollaboratingDeviceInfoExtractor"
        " AllPluginsDeviceInfoExtractor VotingUpdater LastSeenUpdater MacDeviceRetriever"
        " SerialNumberDeviceRetriever UUIDDeviceRetriever IpDeviceRetriever AddDeviceRetriever"
        " SearchDeviceRetriever FirstCompositeDeviceRetriever NullDeviceUpdater"
        " DynamicDeviceUpdater AddInfoDeviceUpdater AutocreateConfigDeviceUpdater"
        " RemoveOutdatedIpDeviceUpdater CompositeDeviceUpdater AbstractDeviceInfoExtractor"
        " AbstractDeviceRetriever AbstractDeviceUpdater"
    ),
    "devices.pgasso": (
        "BasePgAssociator DeviceSupport AbstractPluginAssociator AbstractConflictSolver"
        " ReverseAlphabeticConflictSolver PluginAssociatorDeviceUpdater NO_SUPPORT"
        " IMPROBABLE_SUPPORT UNKNOWN_SUPPORT PROBABLE_SUPPORT INCOMPLETE_SUPPORT"
        " COMPLETE_SUPPORT FULL_SUPPORT"
    ),
    "devices.schemas": (
        "SyslogLevel DtmfMode SrtpMode Transport FuncKeyType RawConfigSchema ConfigSchema"
        " DeviceSchema DeviceDict ConfigDict RawConfigDict"
    ),
    "download": (
        "async_download async_download_with_oip async_download_multiseq_with_oip"
        " OperationInProgressHook"
    ),
    "loaders": "ProvdFileSystemLoader",
    "localization": (
        "register_localization_service unregister_localization_service get_localization_service"
        " get_locale get_locale_and_language LocalizationService LOCALE_CHANGED"
    ),
    "main": "twistd_logs",
    "operation": (
        "OIP_WAITING OIP_PROGRESS OIP_SUCCESS OIP_FAIL OperationInProgress format_oip"
        " operation_in_progres_from_deferred"
    ),
    "persist": "common",
    "persist.common": "ID_KEY InvalidIdError NonDeletableError",
    "phonebook": "add_xivo_phonebook_url add_xivo_phonebook_url_from_format",
    "phoned_users": "add_wazo_phoned_user_service_url",
    "proxy": "DynProxyHandler",
    "security": "log_security_msg",
    "servers": "http http_site tftp",
    "servers.http": (
        "HTTPNoListingFileService BaseHTTPHookService HTTPHookService HTTPAsyncHookService"
        " HTTPLogService IHTTPService"
    ),
    "servers.http_site": "Request Site AuthResource",
    "servers.tftp": (
        "TFTPProtocol TFTPFileService TFTPNullService TFTPStringService TFTPHookService"
        " TFTPLogService AbstractTFTPReadService"
    ),
    "servers.tftp.packet": (
        "Packet OP_RRQ OP_WRQ OP_DATA OP_ACK OP_ERR OP_OACK ERR_UNDEF ERR_FNF ERR_ACCESS"
        " ERR_ALLOC ERR_ILL ERR_UNKNWN_TID ERR_FEXIST ERR_NO_USER PacketError parse_dgram"
        " build_dgram err_packet data_packet oack_packet"
    ),
    "servers.tftp.service": (
        "TFTPFileService TFTPNullService TFTPRequest AbstractTFTPReadService TFTPStringService"
        " TFTPHookService TFTPLogService"
    ),
    "services": (
        "JsonConfigPersister PersistentConfigureServiceDecorator InvalidParameterError"
        " AbstractConfigurationService AbstractInstallationService"
        " AbstractConfigurationServiceParameter BaseConfigurationService"
        " AttrConfigurationServiceParameter DictConfigurationServiceParameter"
        " PersistentConfigurationServiceDecorator IConfigureService IInstallService"
        " AttrConfigureServiceParam DictConfigureServiceParam BaseConfigureService"
    ),
    "synchro": "DeferredRWLock InvalidLockUsage",
    "util": (
        "norm_mac format_mac norm_uuid is_normed_uuid to_ip from_ip norm_ip is_normed_ip to_mac"
        " from_mac is_normed_mac decode_bytes encode_bytes decode_value"
    ),
}

CASES = [
    (first, second, name)
    for name in SURFACE
    for first, second in (("provd", "wazo_provd"), ("wazo_provd", "provd"))
]

# One interpreter that has imported the core only, and a fork of it for each case: to every one of
# them the old names are new.
FORKS = """
import importlib, json, os, sys
import provd.manager.manager, provd.manager.pipeline, provd.http.site, provd.tftp.server
import provd.plugin.firmware, provd.model.rawconfig, ssl, twisted.internet.threads

def loaded():
    return [name for name in sys.modules if name.startswith(("provd.compat", "wazo_provd"))]

def check(first, second, name, wanted):
    assert loaded() == [], loaded()
    one = importlib.import_module(f"{first}.{name}")
    other = importlib.import_module(f"{second}.{name}")
    assert one is other, (one, other)
    assert one is sys.modules[f"provd.compat.{name}"]
    assert one.__spec__.name == one.__name__ == f"provd.compat.{name}", one.__spec__
    for root in (first, second):
        found = sys.modules[root]
        for step in name.split("."):
            found = getattr(found, step)
        assert found is one, root
    missing = [name for name in wanted if not hasattr(one, name)]
    assert not missing, missing

results = []
for first, second, name, wanted in json.load(sys.stdin):
    reading, writing = os.pipe()
    if os.fork() == 0:
        error = ""
        try:
            check(first, second, name, wanted.split())
        except BaseException as exc:
            error = repr(exc)
        os.write(writing, error.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with open(reading) as stream:
        results.append(stream.read())
    os.wait()
json.dump(results, sys.stdout)
"""


def run_python(code, text=None):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def outcomes():
    done = run_python(FORKS, json.dumps([(*case, SURFACE[case[2]]) for case in CASES]))
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_module_is_the_same_below_both_roots_whichever_comes_first(outcomes, case):
    assert not outcomes[case]


@pytest.mark.parametrize(
    "code",
    [
        "import provd.plugins; provd.plugins.Plugin",
        "import wazo_provd.devices.config; wazo_provd.devices.config.RawConfigError",
        "import provd; import provd.servers.tftp.packet; provd.servers.tftp.packet.OP_RRQ",
        "from provd import util, tzinform; util.norm_mac('001122334455')",
        "from wazo_provd import util; import provd.util; assert provd.util is util",
        (
            "from provd.compat import install; install(); install(); import wazo_provd.util as u;"
            " import provd.compat.util as v; assert u is v"
        ),
        "import provd.compat.plugins as a, provd.plugins as b; assert a is b",
        (
            "import sys; from provd.compat import pytest_plugin; pytest_plugin.pytest_collection();"
            " assert 'wazo_provd.plugins' in sys.modules"
        ),
        (
            "from twisted.python.reflect import namedAny; from twisted.logger import ILogObserver;"
            " assert ILogObserver.providedBy(namedAny('wazo_provd.main.twistd_logs')())"
        ),
        (
            "import importlib, provd.util as u; importlib.reload(u); import wazo_provd.util as w;"
            " assert u is w"
        ),
    ],
)
def test_old_names_work_in_a_fresh_interpreter(code):
    done = run_python(code)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["provd.nothing", "wazo_provd.nothing", "wazo_provd.application"])
def test_other_names_do_not_become_importable(name):
    assert "ModuleNotFoundError" in run_python(f"import {name}").stderr


def test_the_core_does_not_import_the_old_names():
    done = run_python(
        "import sys, provd, provd.manager.pipeline, provd.http.site, provd.plugin.api\n"
        "assert not [n for n in sys.modules if n.startswith(('provd.compat', 'wazo_provd'))]"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_names_given_are_those_of_the_contract():
    assert set(compat.LEGACY) == set(SURFACE)
    assert {name.partition(".")[0] for name in compat.LEGACY} == provd.LEGACY_NAMES


def test_every_module_of_the_package_but_our_own_has_old_names():
    # One left out would be found through a parent's path and imported a second time.
    found = set()
    package = os.path.dirname(compat.__file__)
    for directory, _, names in os.walk(package):
        for name in names:
            if name.endswith(".py"):
                path = os.path.relpath(os.path.join(directory, name), package)
                found.add(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    own = "__init__ application author_tools preview processing pytest_plugin quirks"
    assert found - set(SURFACE) == set(own.split())


def test_no_core_module_bears_an_old_name():
    package = os.path.dirname(provd.__file__)
    names = {name.removesuffix(".py") for name in os.listdir(package)}
    assert "manager" in names
    assert not names & provd.LEGACY_NAMES


def test_no_core_module_imports_the_old_names():
    package = os.path.dirname(provd.__file__)
    offenders = []
    for directory, _, names in os.walk(package):
        for name in names:
            path = os.path.join(directory, name)
            own = os.path.relpath(path, package)
            if not name.endswith(".py") or own.startswith("compat") or own == "daemon.py":
                continue
            with open(path, encoding="utf-8") as stream:
                tree = ast.parse(stream.read())
            for node in ast.walk(tree):
                modules = []
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    modules = [f"{node.module}.{alias.name}" for alias in node.names]
                offenders += [
                    (own, module)
                    for module in modules
                    if module.startswith(("provd.compat", "wazo_provd"))
                ]
    assert offenders == []


def test_constants_of_the_older_generation_have_their_values():
    from wazo_provd.devices import ident, pgasso

    assert [
        pgasso.NO_SUPPORT,
        pgasso.IMPROBABLE_SUPPORT,
        pgasso.UNKNOWN_SUPPORT,
        pgasso.PROBABLE_SUPPORT,
        pgasso.INCOMPLETE_SUPPORT,
        pgasso.COMPLETE_SUPPORT,
        pgasso.FULL_SUPPORT,
    ] == [0, 100, 200, 300, 400, 500, 600]
    assert ident.REQUEST_TYPE_HTTP == "http" == ident.RequestType.HTTP
    assert ident.REQUEST_TYPE_TFTP == "tftp" == ident.RequestType.TFTP
    assert ident.REQUEST_TYPE_DHCP == "dhcp" == ident.RequestType.DHCP


COMMON = """
try:
    from wazo_provd.devices.config import RawConfigError
    from wazo_provd.devices.ident import DHCPRequest, RequestType
    from wazo_provd.devices.pgasso import BasePgAssociator, DeviceSupport
    from wazo_provd.plugins import (
        FetchfwPluginHelper, StandardPlugin, TemplatePluginHelper, add_xivo_phonebook_url)
    from wazo_provd.servers.http import HTTPNoListingFileService
    from wazo_provd.servers.http_site import Request
    from wazo_provd.servers.tftp.packet import Packet
    from wazo_provd.servers.tftp.service import TFTPFileService, TFTPRequest
    from wazo_provd.services import JsonConfigPersister, PersistentConfigureServiceDecorator
    from wazo_provd import synchronize, tzinform
    from wazo_provd.util import format_mac, norm_mac
except ImportError:
    from provd.plugins import nothing_of_the_kind
import os
import provd.synchronize
from twisted.internet import threads
from twisted.internet import reactor
assert provd.synchronize is synchronize


class Associator(BasePgAssociator):
    def _do_associate(self, vendor, model, version):
        return DeviceSupport.EXACT if vendor == 'Acme' else DeviceSupport.UNKNOWN


class BaseAcmePlugin(StandardPlugin):
    _LEVEL = tzinform.get_timezone_info('US/Eastern')['utcoffset'].as_hours

    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        os.makedirs(self._tftpboot_dir, exist_ok=True)
        self._tpl_helper = TemplatePluginHelper(plugin_dir)
        self.http_service = HTTPNoListingFileService(self._tftpboot_dir)
        self.tftp_service = TFTPFileService(self._tftpboot_dir)
        self.pg_associator = Associator()

    def configure(self, device, raw_config):
        if 'http_port' not in raw_config:
            raise RawConfigError('only supports configuration over HTTP')
        name = format_mac(device['mac'], separator='')
        template = self._tpl_helper.get_dev_template(name, device)
        self._tpl_helper.dump(template, raw_config, os.path.join(self._tftpboot_dir, name))

    def synchronize(self, device, raw_config):
        return synchronize.standard_sip_synchronize(device)
"""

ENTRY = """
common = {}
execfile_('common.py', common)

class AcmePlugin(common['BaseAcmePlugin']):
    IS_PLUGIN = True
"""


@pytest.fixture
def acme(tmp_path):
    directory = tmp_path / "acme"
    (directory / "templates").mkdir(parents=True)
    (directory / "templates/base.tpl").write_text("port = {{ http_port }}\n")
    (directory / "common.py").write_text(COMMON)
    (directory / "entry.py").write_text(ENTRY)
    (directory / "plugin-info").write_text(
        '{"version": "1.0", "description": "Acme", "capabilities": {}}'
    )
    compat.install()
    host = PluginHost(str(tmp_path), general_config={}, plugin_config={}, base_raw_config={})
    return host.load("acme").plugin


def test_a_plugin_of_another_origin_loads_and_works(acme, tmp_path):
    assert acme._LEVEL == -5
    assert acme.pg_associator.associate({"vendor": "Acme"}) == 600
    acme.configure({"mac": "00:11:22:33:44:55"}, {"http_port": 8667})
    written = tmp_path / "acme/var/tftpboot/001122334455"
    assert written.read_bytes() == b"port = 8667"


def test_its_synchronisation_uses_the_service_registered_below_any_root(acme, monkeypatch):
    from provd.synchronize import register_sync_service, unregister_sync_service

    from provd.compat import synchronize as implementation

    threads_used = []

    class Service:
        TYPE = "AsteriskAMI"

        def sip_notify_by_ip(self, ip, event, extra_vars=None):
            threads_used.append((threading.current_thread(), ip, event, extra_vars))

    monkeypatch.setattr(implementation.threads, "deferToThread", defer.maybeDeferred)
    register_sync_service(Service())
    try:
        done = []
        acme.synchronize({"ip": "10.0.0.9"}, {}).addCallback(done.append)
    finally:
        unregister_sync_service()
    assert done == [None]
    assert threads_used[0][1:] == ("10.0.0.9", "check-sync", None)
