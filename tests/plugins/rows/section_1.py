"""Import names."""

# ruff: noqa: F821 - the loader and entry.py give names

import importlib

ROOT = "wazo_provd"
OTHER = "provd" if ROOT.startswith("wazo") else "wazo_" + ROOT

MODULES = {
    "abstract_plugin": "AbstractPlugin",
    "plugins": "Plugin StandardPlugin TemplatePluginHelper FetchfwPluginHelper"
    " add_xivo_phonebook_url add_xivo_phonebook_url_from_format add_wazo_phoned_user_service_url"
    " PluginManager AbstractPluginManagerObserver BasePluginManagerObserver PluginNotLoadedError"
    " AsyncInstallerController",
    "synchronize": "standard_sip_synchronize SynchronizeException AMIError"
    " AsteriskAMISynchronizeService register_sync_service unregister_sync_service"
    " get_sync_service get_AMID_client",
    "tzinform": "get_timezone_info TimezoneNotFoundError Time week_start_on_monday"
    " TextTimezoneInfoDB NativeTimezoneInfoDB DefaultTimezoneInfoDB",
    "devices.config": "RawConfigError RawConfigParamError ConfigCollection build_autocreate_config",
    "devices.device": "copy needs_reconfiguration DeviceCollection",
    "devices.schemas": "SyslogLevel DtmfMode SrtpMode Transport FuncKeyType RawConfigSchema"
    " ConfigSchema DeviceSchema DeviceDict ConfigDict RawConfigDict",
    "devices.ident": "RequestType DHCPRequest StandardDeviceInfoExtractor VotingUpdater",
    "devices.pgasso": "BasePgAssociator DeviceSupport AbstractPluginAssociator"
    " AbstractConflictSolver ReverseAlphabeticConflictSolver PluginAssociatorDeviceUpdater",
    "download": "async_download async_download_with_oip async_download_multiseq_with_oip"
    " OperationInProgressHook",
    "loaders": "ProvdFileSystemLoader",
    "localization": "get_locale get_locale_and_language LocalizationService",
    "operation": "OIP_WAITING OIP_PROGRESS OIP_SUCCESS OIP_FAIL OperationInProgress format_oip"
    " operation_in_progres_from_deferred",
    "persist.common": "ID_KEY InvalidIdError NonDeletableError",
    "phonebook": "add_xivo_phonebook_url",
    "phoned_users": "add_wazo_phoned_user_service_url",
    "proxy": "DynProxyHandler",
    "security": "log_security_msg",
    "servers.http": "HTTPNoListingFileService BaseHTTPHookService HTTPHookService"
    " HTTPAsyncHookService HTTPLogService IHTTPService",
    "servers.http_site": "Request Site AuthResource",
    "servers.tftp": "TFTPProtocol TFTPFileService TFTPNullService TFTPStringService",
    "servers.tftp.service": "TFTPFileService TFTPNullService TFTPRequest"
    " AbstractTFTPReadService TFTPStringService TFTPHookService TFTPLogService",
    "servers.tftp.packet": "Packet PacketError parse_dgram build_dgram err_packet data_packet"
    " oack_packet",
    "services": "JsonConfigPersister PersistentConfigureServiceDecorator",
    "synchro": "DeferredRWLock InvalidLockUsage",
    "util": "norm_mac format_mac norm_uuid is_normed_uuid to_ip from_ip norm_ip is_normed_ip"
    " to_mac from_mac is_normed_mac decode_bytes encode_bytes decode_value",
    "main": "twistd_logs",
}


def import_row(module, names):
    def check(plugin):
        found = importlib.import_module(ROOT + "." + module)
        assert found is importlib.import_module(OTHER + "." + module)
        scope = {}
        exec("from {}.{} import {}".format(ROOT, module, ", ".join(names.split())), scope)
        for name in names.split():
            assert scope[name] is getattr(found, name)

    row("1." + module)(check)


for module, names in MODULES.items():
    import_row(module, names)


@row("1.packet_constants")
def packet_constants(plugin):
    from wazo_provd.servers.tftp import packet

    ops = [packet.OP_RRQ, packet.OP_WRQ, packet.OP_DATA, packet.OP_ACK, packet.OP_ERR]
    assert [*ops, packet.OP_OACK] == [bytes((0, n)) for n in range(1, 7)]
    assert [bytes((0, n)) for n in range(8)] == [
        packet.ERR_UNDEF,
        packet.ERR_FNF,
        packet.ERR_ACCESS,
        packet.ERR_ALLOC,
        packet.ERR_ILL,
        packet.ERR_UNKNWN_TID,
        packet.ERR_FEXIST,
        packet.ERR_NO_USER,
    ]


@row("1.hasattr")
def tested_with_hasattr(plugin):
    from wazo_provd import plugins

    assert hasattr(plugins, "add_wazo_phoned_user_service_url")


@row("1.old_services")
def old_services(plugin):
    from wazo_provd import services as s

    assert s.IConfigureService is s.AbstractConfigurationService
    assert s.IInstallService is s.AbstractInstallationService
    assert s.AttrConfigureServiceParam is s.AttrConfigurationServiceParameter
    assert s.DictConfigureServiceParam is s.DictConfigurationServiceParameter
    assert s.BaseConfigureService is s.BaseConfigurationService


@row("1.old_pgasso")
def old_pgasso(plugin):
    from wazo_provd.devices import pgasso as p

    assert [p.NO_SUPPORT, p.IMPROBABLE_SUPPORT, p.UNKNOWN_SUPPORT, p.PROBABLE_SUPPORT] == [
        0,
        100,
        200,
        300,
    ]
    assert [p.INCOMPLETE_SUPPORT, p.COMPLETE_SUPPORT, p.FULL_SUPPORT] == [400, 500, 600]


@row("1.old_ident")
def old_ident(plugin):
    from wazo_provd.devices import ident as i

    assert [i.REQUEST_TYPE_HTTP, i.REQUEST_TYPE_TFTP, i.REQUEST_TYPE_DHCP] == [
        "http",
        "tftp",
        "dhcp",
    ]


@row("1.third_party")
def third_party(plugin):
    import jinja2
    import packaging.version
    import pexpect
    from twisted.internet import defer, reactor, threads
    from twisted.web.resource import NoResource, Resource

    assert packaging.version.parse("1.10") > packaging.version.parse("1.9")
    assert all((jinja2.Template, pexpect.spawn, defer, reactor, threads, NoResource, Resource))
