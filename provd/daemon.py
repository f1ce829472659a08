"""The composition root, from settings to one MultiService; only here everything is imported."""

from __future__ import annotations

import gc
import logging
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.application import service
from twisted.internet import defer, endpoints, error, ssl, task, threads
from twisted.python import usage
from twisted.python.threadpool import ThreadPool

from provd import __version__, compat, logs
from provd.agi import call
from provd.agi.server import AgiFactory
from provd.auth.local import LocalAuthorizer
from provd.auth.wazo import WazoAuthorizer
from provd.bus.events import deleted_tenant
from provd.compat import synchronize
from provd.compat.application import Application
from provd.compat.processing import load_stages
from provd.compat.quirks import quirk
from provd.dhcp.receiver import DhcpReceiver
from provd.errors import (
    AuthUnavailable,
    DeviceNotFound,
    InvalidDocument,
    ProvdError,
    ProvisioningRefused,
    SettingsError,
    StoreError,
    TooManyAttempts,
    UnknownProvisioningCode,
)
from provd.http.metrics import MetricsResource, MetricsSite
from provd.http.site import Accel, PhoneResource, PhoneSite
from provd.manager.base_documents import base_documents
from provd.manager.cluster import Cluster
from provd.manager.dhcp_events import DhcpEvents
from provd.manager.extraction import Extraction
from provd.manager.files import FileCache, Files
from provd.manager.history import History
from provd.manager.jobs import Jobs
from provd.manager.journal import Journal
from provd.manager.limits import CreationLimits
from provd.manager.manager import Change, DeviceManager
from provd.manager.metrics import Metrics
from provd.manager.parameters import Parameters
from provd.manager.pipeline import Pipeline
from provd.manager.plugins import PluginManager
from provd.manager.preview import Previews
from provd.manager.provisioning import Caller, Provisioning
from provd.manager.rendering import RenderStates
from provd.manager.shared_plugins import SharedPlugins
from provd.manager.synchronization import Synchronizations
from provd.manager.tenants import TenantRemoval, TenantSync
from provd.manager.watchdog import StallWatchdog
from provd.model.addresses import norm_mac
from provd.model.rawconfig import check_base
from provd.model.selectors import Query
from provd.notify.ami import AmiNotifier, make_endpoint
from provd.notify.interface import Phone
from provd.notify.legacy import SyncService
from provd.notify.sip import SipNotifier
from provd.plugin.archive import recover
from provd.plugin.host import PluginHost
from provd.plugin.localization import LocalizationService, register_localization_service
from provd.plugin.repository import Repository
from provd.plugin.unpack import UnpackLimits
from provd.rest.app import RestSite
from provd.rest.root import build_api
from provd.settings import PROVD, WAZO, Defaults, Settings, base_raw_config, load
from provd.store.interface import COLLECTIONS, Insert
from provd.store.jsondb import read_documents, read_parameters
from provd.store.measured import MeasuredStore
from provd.store.memory import MemoryStore
from provd.store.sqlite import SqliteStore
from provd.tftp.front import TftpFront
from provd.tftp.server import TftpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from provd.auth.interface import Authorizer
    from provd.bus.consumer import BusConsumer
    from provd.manager.metrics import Sample
    from provd.notify.interface import Notifier
    from provd.rest.app import RestApi
    from provd.store.interface import Record, Store

logger = logging.getLogger(__name__)

_WORKERS = 4
_COUNT_SECONDS = 60
_MAIN_TENANT = "main_tenant"  # a parameter that no operator sees
_IMPORT = "import"  # a parameter that no operator sees: how far the import of old documents got


class Options(usage.Options):
    """Options of `twistd provd`."""

    optFlags: ClassVar[list[list[str | None]]] = [
        ["stderr", "s", "accepted for compatibility; logs go where the settings say"],
        ["verbose", "v", "log debug messages"],
        ["hints", None, "print at the end of the start how to try the daemon"],
    ]
    optParameters: ClassVar[list[list[Any]]] = [
        ["config-file", "f", None, "the main settings file"],
        ["config-dir", "c", None, "where request-processing files are"],
        ["state-dir", None, None, "where documents, plugins and cache are kept"],
        ["rest-port", None, None, "TCP port of the REST API"],
        ["http-port", None, None, "TCP port for phones without a web server in front"],
        ["tftp-port", None, None, "UDP port of the TFTP server"],
        ["rest-ip", None, None, "address that the REST API listens on"],
        ["listen", None, None, "address that phones are served on, over HTTP and TFTP"],
    ]

    def given(self) -> dict[str, object]:
        """Return the options as settings know them."""
        return {str(name).replace("-", "_"): value for name, value in self.items()}


def make_store(settings: Settings, reactor: Any) -> Store:
    """Return the document store that the settings ask for."""
    kind = settings.database.type
    if kind == "memory":
        return MemoryStore()
    if kind == "mongodb":
        # It takes longer to import than all else, and few need it.
        from provd.store.mongo import MongoStore

        return MongoStore(reactor, settings.database.uri, settings.database.name)
    return SqliteStore(reactor, settings.database.file)


class Daemon(service.MultiService):
    """All of provd, as one service."""

    def __init__(self, reactor: Any, settings: Settings, *, hints: bool = False) -> None:
        super().__init__()
        self.setName("provd")
        self._reactor = reactor
        self._settings = settings
        self._hints = hints
        self._began = time.monotonic()
        self._ready = False
        self._device_counts: dict[str, int] = {}
        self._devices_counted_until = 0.0
        self._has_adopted = False
        self._starting: defer.Deferred[Any] | None = None
        self._ports: list[Any] = []
        self._sites: list[PhoneSite] = []
        self._pool = ThreadPool(0, _WORKERS, name="work")
        general = settings.general
        self._tftp: TftpServer | None = None
        if general.tftp_enabled and (general.tftp_with_url_key or not general.http_auth_strategy):
            self._tftp = TftpServer(
                reactor,
                general.tftp_port,
                general.tftp_listen_interface,
                None,
                max_transfers=settings.limits.tftp_transfers,
                max_transfers_per_source=settings.limits.tftp_transfers_per_source,
                drain_seconds=max(general.shutdown_seconds - 1, 0),
            )
            self._tftp.setName("tftp")
            self._tftp.setServiceParent(self)

    def _build(self) -> None:
        """Make all objects, bottom up. No I/O."""
        settings, reactor, general = self._settings, self._reactor, self._settings.general
        limits = settings.limits
        storage = general.base_storage_dir
        self._base_raw_config = base_raw_config(
            settings, tftp_port=self._tftp.port if self._tftp is not None else None
        )
        check_base(self._base_raw_config)
        localization = LocalizationService()
        register_localization_service(localization)
        self._metrics = Metrics()
        self._metrics.ask(self._samples)
        self._store = MeasuredStore(
            make_store(settings, reactor),
            self._metrics.store_read.observe,
            self._metrics.store_write.observe,
        )
        self._jobs = Jobs(reactor)
        self._parameters = Parameters(
            self._store,
            localization,
            plugin_server=general.plugin_server,
            proxies={
                "http": settings.proxy.http,
                "ftp": settings.proxy.ftp,
                "https": settings.proxy.https,
            },
            tenants=settings.tenants,
        )
        self._authorizer = self._make_authorizer()
        self._host = PluginHost(
            general.plugins_dir,
            general_config={
                **_as_dict(general),
                "proxies": self._parameters.proxies,
            },
            plugin_config=settings.plugin_config,
            base_raw_config=self._base_raw_config,
            quirk=quirk,
            unpack_limits=UnpackLimits(limits.firmware_bytes, limits.firmware_ratio),
            preference=general.plugin_preference,
        )
        url_key = general.http_auth_strategy == "url_key"
        self._states = RenderStates(os.path.join(storage, "rendered"))
        self._manager = DeviceManager(
            clock=reactor,
            store=self._store,
            host=self._host,
            states=self._states,
            jobs=self._jobs,
            parameters=self._parameters,
            metrics=self._metrics,
            base_raw_config=self._base_raw_config,
            url_key=url_key,
            direct_renders=general.direct_renders,
            cache_size=max(limits.device_cache, 1),
            id_generator=settings.database.generator,
            tenants_share_configs=general.tenants_share_configs,
        )
        self._parameters.key_changed = self._key_changed if url_key else lambda _tenant: None
        self._host.app = Application(
            manager=self._manager,
            host=self._host,
            parameters=self._parameters,
            sync_service_getter=synchronize.get_sync_service,
        )
        self._files = Files(self._manager, FileCache(limits.file_cache_bytes))
        self._repository = Repository(
            general.plugins_dir,
            general.cache_dir,
            self._parameters.proxies,
            keep_archives=general.cache_plugin,
        )
        self._plugins = PluginManager(
            host=self._host,
            repository=self._repository,
            devices=self._manager,
            parameters=self._parameters,
            jobs=self._jobs,
            in_thread=self._in_thread,
        )
        self._history = History(limits.history_per_device, limits.history_entries)
        self._journal = Journal(self._history, self._metrics)
        self._previews = Previews(
            reactor=reactor,
            manager=self._manager,
            parameters=self._parameters,
            command=(sys.executable, "-m", "provd.compat.preview"),
            in_thread=self._in_thread,
            general_config=_as_dict(general),
            plugin_config=settings.plugin_config,
            base_raw_config=self._base_raw_config,
        )
        self._notifier = self._make_notifier()
        self._synchronizations = Synchronizations(
            clock=reactor,
            manager=self._manager,
            history=self._history,
            jobs=self._jobs,
            way=lambda: general.sync_service_type,
            confirm_seconds=general.sync_confirm_seconds,
            success_means=general.sync_success,
        )
        self._manager.deleted = self._history.forget
        self._manager.taken_over = self._history.move
        self._journal.fetched = self._synchronizations.fetched
        self._provisioning = Provisioning(reactor, self._manager, self._synchronizations)
        self._agi: AgiFactory | None = None
        self._watchdog = StallWatchdog(reactor, settings.logging.stall_threshold_ms / 1000)
        self._bus: BusConsumer | None = None
        self._tenant_sync: TenantSync | None = None
        if isinstance(self._authorizer, WazoAuthorizer):
            self._follow_tenants(self._authorizer)
        # Last, as files of the operator are executed: all that a stop needs is there.
        self._pipeline = self._make_pipeline()
        self._dhcp_events = DhcpEvents(self._pipeline, self._journal)
        self._cluster: Cluster | None = None
        if settings.database.type == "mongodb":
            self._join()

    def _join(self) -> None:
        """Make what follows the other nodes of a cluster."""
        store: Any = self._store
        self._cluster = cluster = Cluster(
            clock=self._reactor,
            store=store,
            manager=self._manager,
            parameters=self._parameters,
            jobs=self._jobs,
        )
        self._manager.devices.share()
        self._manager.configs.cache.share()
        self._pipeline.cluster = cluster
        shared = SharedPlugins(
            store=store,
            cluster=cluster,
            host=self._host,
            repository=self._repository,
            plugins=self._plugins,
            in_thread=self._in_thread,
        )
        self._plugins.shared = shared

        @asynccontextmanager
        async def exclusive() -> AsyncIterator[None]:
            async with cluster.alone("parameters"):
                await cluster.catch_up()
                yield

        self._parameters.exclusive = exclusive
        cluster.plugins_changed = shared.converge

    def _make_pipeline(self) -> Pipeline:
        general, limits = self._settings.general, self._settings.limits

        async def create(info: dict[str, Any]) -> Record | None:
            return await self._pipeline.create(info)

        stages = load_stages(
            general.request_config_dir,
            {
                "info_extractor": general.info_extractor,
                "retriever": general.retriever,
                "updater": general.updater,
            },
            self._host.app,
            create,
        )
        return Pipeline(
            clock=self._reactor,
            manager=self._manager,
            host=self._host,
            extraction=Extraction(self._host, self._reactor, limits.memo_entries),
            limits=CreationLimits(
                self._reactor, limits.creation_rate, limits.creation_rate_per_source
            ),
            parameters=self._parameters,
            metrics=self._metrics,
            max_unclaimed=limits.unclaimed_devices,
            info_extractor=stages.info_extractor,
            retriever=stages.retriever,
            updater=stages.updater,
        )

    def _make_authorizer(self) -> Authorizer:
        auth = self._settings.auth
        if auth.type == "wazo":
            return WazoAuthorizer(
                self._reactor,
                base_url=_url(auth.https, auth.host, auth.port, auth.prefix),
                username=auth.username,
                password=auth.password,
                timeout=auth.timeout,
                verify_certificate=auth.verify_certificate,
                renewed=self._service_token_renewed,
            )
        return LocalAuthorizer(auth.tokens_file, auth.admin_token_file)

    def _follow_tenants(self, authorizer: WazoAuthorizer) -> None:
        """Make what deletes the devices of tenants that are gone."""
        # pika takes 30 ms to import and imports the reactor: only where there is a bus.
        from provd.bus import amqp
        from provd.bus.consumer import BusConsumer

        settings, reactor = self._settings, self._reactor

        async def list_tenants() -> list[str] | None:
            if not self._has_adopted:
                raise AuthUnavailable("devices without a tenant have not got the main one yet")
            return await authorizer.all_tenants()

        async def takes_turn(seconds: float) -> bool:
            return self._cluster is not None and await self._cluster.takes_turn("tenants", seconds)

        removal = TenantRemoval(self._store, self._manager, self._parameters, self._jobs)
        self._tenant_sync = TenantSync(
            clock=reactor,
            store=self._store,
            manager=self._manager,
            parameters=self._parameters,
            removal=removal,
            list_tenants=list_tenants,
            start_seconds=settings.general.syncdb.start_sec,
            interval_seconds=settings.general.syncdb.interval_sec,
            takes_turn=takes_turn if settings.database.type == "mongodb" else None,
        )

        async def tenant_deleted(data: dict[str, Any]) -> None:
            tenant = deleted_tenant(data)
            # Whoever publishes the event and asks right after sees none of them.
            with authorizer.hiding(tenant):
                await removal.forget(tenant)

        handlers = {"auth_tenant_deleted": tenant_deleted}
        self._bus = BusConsumer(
            reactor,
            lambda: amqp.connect(reactor, settings.bus, handlers),
            handlers,
            self._tenant_sync.compare_soon,
        )

    def _in_thread(self, function: Callable[..., Any], *args: Any) -> defer.Deferred[Any]:
        return threads.deferToThreadPool(self._reactor, self._pool, function, *args)

    # Start

    def privilegedStartService(self) -> None:
        """Bind what may need privileges."""
        try:
            super().privilegedStartService()
        except error.CannotListenError as failure:
            sys.exit(f"provd: cannot listen for TFTP: {failure}{self._advice('TFTP_PORT')}")

    def startService(self) -> None:
        """Start; the work goes on after this returns, and a failure ends the process."""
        super().startService()
        self._starting = defer.Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._start_failed)

    def _start_failed(self, failure: Any) -> None:
        if failure.check(defer.CancelledError):
            return
        if failure.check(ProvdError, OSError, error.CannotListenError):
            logger.critical("provd cannot start: %s", failure.value)
        else:
            logs.log_failure(failure, logger, "provd cannot start")
        self._reactor.addSystemEventTrigger("after", "shutdown", _exit_with_failure)
        self._reactor.callWhenRunning(self._reactor.stop)

    async def _start(self) -> None:
        settings, general = self._settings, self._settings.general
        for warning in settings.warnings:
            logger.warning("%s", warning)
        logger.info("provd %s starts, authorisation is %s", __version__, settings.auth.type)
        # Nearly all that a start makes stays; looking at it over and over is a tenth of the start.
        gc.set_threshold(50_000, 20, 50)
        self._build()
        for directory in (general.base_storage_dir, general.plugins_dir, general.cache_dir):
            os.makedirs(directory, exist_ok=True)
        self._pool.start()
        self._watchdog.start()
        _allow_descriptors()
        # Not before the store is ours: another daemon may be in the middle of an upgrade.
        await self._store.open()
        await self._in_thread(recover, general.plugins_dir)
        if isinstance(self._authorizer, LocalAuthorizer):
            self._authorizer.prepare()
            self._manager.main_tenant = self._authorizer.main_tenant
        if self._cluster is not None:
            await self._cluster.start()
            async with self._cluster.alone("first start"):
                await self._first_start()
                await self._check_main_tenant()
        else:
            await self._first_start()
        await self._manager.devices.load_index()
        await self._parameters.load()
        await self._authorizer.start()
        self._register_sync_service()
        for plugin_id in self._host.installed_ids():
            self._host.load_one_of_all(plugin_id)
            await self._jobs.pause()
        # What lives as long as the daemon need not be looked at by the collector again and again.
        gc.collect()
        gc.freeze()
        # Which file belongs to which device must be known before the first of them is asked for.
        await self._in_thread(self._states.read)
        self._states.wasteful = lambda: self._jobs.start(
            "compaction of render states", self._states.compact(self._jobs.pause, self._in_thread)
        )
        if self._cluster is not None and self._plugins.shared is not None:
            await self._plugins.shared.converge()
            self._cluster.poll()
        if isinstance(self._authorizer, WazoAuthorizer):
            # Nothing can be created without the main tenant: ready means that it is known, unless
            # wazo-auth is away.
            await self._authorizer.wait_until_ready()
        await self._listen()
        if self._bus is not None and self._tenant_sync is not None:
            self._bus.start()
            self._tenant_sync.start()
        if general.install_all_plugins:
            await self._install_all()
        self._ready = True
        self._announce()
        self._jobs.start(
            "comparison of rendered files", self._manager.compare_all(), can_be_stopped=True
        )
        self._jobs.start("compilation of templates", self._plugins.compile_templates())
        self._jobs.start("removal of old render states", self._remove_old_states())

    async def _remove_old_states(self) -> None:
        await self._in_thread(self._states.remove_old)

    async def _first_start(self) -> None:
        """Fill an empty store: from an older installation beside it, or with base documents."""
        parameters = await self._store.parameters()
        # An import that was cut short is made up for: what is missing is imported.
        if parameters.get(_IMPORT) != "running" and (
            parameters or any([await self._store.find_ids(name, {}) for name in COLLECTIONS])
        ):
            return
        database = self._settings.database
        count = 0
        if database.type == "json":
            await self._store.set_parameter(_IMPORT, "running")
            count = await self._import_documents(database.json_db_dir)
            await self._store.set_parameter(_IMPORT, "done")
        if count == 0 and isinstance(self._authorizer, LocalAuthorizer):
            configs = base_documents(self._base_raw_config)
            await self._store.write([Insert("configs", config) for config in configs])
            logger.info("base documents made: %s", ", ".join(c["id"] for c in configs))

    async def _check_main_tenant(self) -> None:
        """Refuse a node whose token file is not that of the cluster: its tenants would differ."""
        main = self._manager.main_tenant
        if main is None:
            return  # wazo-auth tells it, the same to all
        known = (await self._store.parameters()).get(_MAIN_TENANT)
        if known is None:
            await self._store.set_parameter(_MAIN_TENANT, main)
        elif known != main:
            raise SettingsError(
                f"auth.tokens_file: {self._settings.auth.tokens_file} has the main tenant {main},"
                f" the cluster {known}; copy the file from another node"
            )

    async def _import_documents(self, directory: str) -> int:
        """Take over what wazo-provd kept in JSON files; return how many documents."""
        count = 0
        for collection in reversed(COLLECTIONS):
            documents: list[dict[str, Any]] = await self._in_thread(
                lambda name=collection: list(read_documents(directory, name))
            )
            known = set(await self._store.find_ids(collection, {}))
            documents = [document for document in documents if document["id"] not in known]
            count += len(known)
            for start in range(0, len(documents), 500):
                part = [self._completed(collection, d) for d in documents[start : start + 500]]
                await self._store.write(
                    [Insert(collection, d, shares=True) for d in part if d is not None]
                )
            count += len(documents)
        path = os.path.join(os.path.dirname(directory), "app.json")
        parameters: dict[str, Any] = await self._in_thread(read_parameters, path)
        for name, value in parameters.items():
            await self._store.set_parameter(name, value)
        if count or parameters:
            logger.info(
                "%d documents, %d parameters imported from %s", count, len(parameters), directory
            )
        return count

    def _completed(self, collection: str, document: dict[str, Any]) -> dict[str, Any] | None:
        """Return an old document with the members that old versions did not write."""
        if collection == "devices":
            document.setdefault("configured", False)
            if self._manager.main_tenant is not None and document.get("tenant_uuid") is None:
                document["tenant_uuid"] = self._manager.main_tenant
            return document
        if not isinstance(document.get("parent_ids"), list) or not isinstance(
            document.get("raw_config"), dict
        ):
            logger.warning("config %s is left out: no parent_ids or raw_config", document["id"])
            return None
        return document

    def _service_token_renewed(self, token: str, tenant: str) -> None:  # noqa: ARG002
        """Take note of the main tenant, which only the authentication service knows."""
        self._manager.main_tenant = tenant
        self._jobs.start("main tenant", self._adopt_main_tenant(tenant))

    async def _adopt_main_tenant(self, tenant: str) -> None:
        """Give the main tenant the devices of none, and those of local authorisation before."""
        await self._parameters.add_tenant(tenant)
        owners: list[str | None] = [None]
        before = None
        try:
            before = LocalAuthorizer(self._settings.auth.tokens_file, "").main_tenant
        except SettingsError as failure:
            logger.warning("devices made under local authorisation stay as they are: %s", failure)
        if before is not None and before != tenant:
            owners.append(before)

        def change(document: dict[str, Any]) -> Change:
            if document.get("tenant_uuid") in owners:
                document["tenant_uuid"] = tenant
            return Change(document)

        for condition in (*owners, {"$exists": False}):
            ids = await self._store.find_ids("devices", {"tenant_uuid": condition})
            await self._jobs.for_each(
                ids, lambda device_id: self._manager.change_device(device_id, change)
            )
        self._has_adopted = True

    def _key_changed(self, tenant: str) -> None:
        """Give the devices of a tenant files with its new provisioning key."""
        self._manager.settings_changed()

        async def refresh() -> None:
            ids = await self._store.find_ids("devices", {"tenant_uuid": tenant})
            await self._manager.refresh_many(ids, f"new provisioning key of tenant {tenant}")

        self._jobs.start("new provisioning key", refresh())

    def _make_notifier(self) -> Notifier | None:
        """Return what notifies phones without wazo-amid; None for amid and for none."""
        settings = self._settings
        kind = settings.general.sync_service_type
        if kind == "ami":
            ami = settings.ami
            try:
                endpoint = make_endpoint(
                    self._reactor,
                    ami.host,
                    ami.port,
                    tls=ami.tls,
                    verify_certificate=ami.verify_certificate,
                    timeout=ami.timeout,
                )
            except (OSError, ValueError) as failure:
                raise SettingsError(f"ami.verify_certificate: {failure}") from failure
            return AmiNotifier(
                self._reactor,
                endpoint,
                where=f"{ami.host}:{ami.port}",
                username=ami.username,
                secret=ami.secret or "",
                authentication=ami.authentication,
                timeout=ami.timeout,
            )
        if kind == "sip":
            sip = settings.sip
            return SipNotifier(
                self._reactor,
                interface=sip.listen_interface,
                port=sip.port,
                from_host=sip.from_host,
                phone_port=sip.phone_port,
                timeout=sip.timeout,
            )
        return None

    def _register_sync_service(self) -> None:
        settings = self._settings
        if self._notifier is not None:
            self._notifier.start()
            service = SyncService(self._reactor, self._notifier, self._neighbours)
            synchronize.register_sync_service(service)
            self._provisioning.hear = lambda device_id, caller: service.hear(
                device_id, _phone_of(caller)
            )
            if isinstance(self._notifier, AmiNotifier):
                self._provisioning.mac_of_caller = self._mac_of_caller
        elif settings.general.sync_service_type == "asterisk_ami":
            client = synchronize.get_AMID_client(
                **_as_dict(settings.amid),
                token=lambda: getattr(self._authorizer, "service_token", None),
            )
            synchronize.register_sync_service(synchronize.AsteriskAMISynchronizeService(client))

    async def _neighbours(
        self, device: Mapping[str, Any], account: str | None, is_shared: bool
    ) -> Sequence[Mapping[str, Any]]:
        """Return devices, of any tenant, that may run a device's account."""
        if account is not None and is_shared:
            selector = {"remote_state_sip_username": account}
        elif account is not None and device.get("config"):
            selector = {"config": device["config"]}
        elif device.get("ip"):
            selector = {"ip": device["ip"]}
        else:
            return ()
        return await self._manager.find_devices(Query(selector=selector, limit=1000), None)

    async def _mac_of_caller(self, caller: Caller) -> str | None:
        """Return the MAC that a calling phone registered with at the PBX, if it told one."""
        notifier = self._notifier
        found = (
            await notifier.find_mac(_phone_of(caller))
            if isinstance(notifier, AmiNotifier)
            else None
        )
        return norm_mac(found) if found is not None else None

    async def _dialled(self, arguments: Mapping[str, str], _asterisk: str) -> str:
        """Provision the phone that dialled a code; return the result for the dialplan."""
        ip, port = arguments.get("ip"), arguments.get("port")
        caller = None
        if ip:
            caller = Caller(
                ip,
                int(port) if port else None,
                arguments.get("account"),
                arguments.get("name_mac"),
            )
        try:
            await self._provisioning.provision(
                code=arguments["code"],
                mac=arguments.get("mac") or (None if ip else arguments.get("name_mac")),
                ip=ip,
                heard=caller,
            )
        except UnknownProvisioningCode:
            return call.UNKNOWN_CODE
        except DeviceNotFound:
            return call.UNKNOWN_PHONE
        except (ProvisioningRefused, TooManyAttempts, InvalidDocument) as failure:
            logger.warning("a dialled code is refused: %s", failure)
            return call.REFUSED
        except ProvdError as failure:
            logger.warning("what a code was dialled for failed: %s", failure)
            return call.FAILED
        return call.SUCCESS

    async def _install_all(self) -> None:
        try:
            await self._plugins.install_all()
        except ProvdError as failure:
            logger.error("the plugins of the repository are not installed: %s", failure)

    # Listeners

    async def _listen(self) -> None:
        general = self._settings.general
        proxied = general.http_proxied_listen_port
        if proxied is not None:
            await self._listen_for_phones(
                proxied,
                general.http_proxied_listen_interface,
                general.http_proxied_trusted_proxies_count or 0,
            )
        if general.http_listen_port is not None:
            await self._listen_for_phones(
                general.http_listen_port, general.http_listen_interface, 0
            )
        if self._tftp is not None:
            self._tftp.handler = TftpFront(self._pipeline, self._files, self._journal)
        metrics = self._settings.metrics
        if metrics.port is not None:
            endpoint = endpoints.TCP4ServerEndpoint(self._reactor, metrics.port, 50, metrics.ip)
            site = MetricsSite(MetricsResource(self._metrics_text))
            bound = await self._listen_on(endpoint, site, "metrics")
            logger.info("metrics are served over HTTP on port %d", bound)
        agi = self._settings.agi
        if agi.port is not None:
            self._agi = AgiFactory(self._reactor, self._dialled)
            endpoint = endpoints.TCP4ServerEndpoint(self._reactor, agi.port, 64, agi.ip)
            bound = await self._listen_on(endpoint, self._agi, "FastAGI")
            logger.info("codes from the dialplan are taken by FastAGI on port %d", bound)
        dhcp = self._settings.dhcp
        if dhcp.socket is not None:
            receiver = DhcpReceiver(
                self._reactor,
                dhcp.socket,
                self._dhcp_events.take,
                mode=dhcp.socket_mode,
                owner=dhcp.socket_owner,
                group=dhcp.socket_group,
            )
            receiver.setName("dhcp")
            receiver.setServiceParent(self)
        self._rest_port = await self._listen_on(
            self._rest_endpoint(), RestSite(self._make_api().resource()), "the REST API"
        )

    async def _listen_for_phones(self, port: int, interface: str, trusted_proxies: int) -> None:
        general = self._settings.general
        prefix = general.http_accel_redirect
        resource = PhoneResource(
            pipeline=self._pipeline,
            files=self._files,
            parameters=self._parameters,
            journal=self._journal,
            trusted_proxies=trusted_proxies,
            url_key=self._settings.general.http_auth_strategy == "url_key",
            accel=Accel(prefix, general.plugins_dir) if prefix and trusted_proxies else None,
        )
        site = PhoneSite(resource, self._reactor)
        self._sites.append(site)
        endpoint = endpoints.TCP4ServerEndpoint(self._reactor, port, 1024, interface)
        bound = await self._listen_on(endpoint, site, "phones")
        behind = " behind a proxy" if trusted_proxies else ""
        logger.info("phones are served over HTTP%s on port %d", behind, bound)

    async def _listen_on(self, endpoint: Any, site: Any, what: str) -> int:
        try:
            port = await endpoint.listen(site)
        except error.CannotListenError as failure:
            variable = {"phones": "HTTP_PORT", "the REST API": "REST_PORT"}.get(what)
            raise SettingsError(
                f"cannot listen for {what}: {failure}{self._advice(variable)}"
            ) from failure
        self._ports.append(port)
        number: int = port.getHost().port
        return number

    def _advice(self, variable: str | None) -> str:
        """Return how whoever tries `make run` chooses another port."""
        return f"; choose another port: make run {variable}=…" if self._hints and variable else ""

    def _rest_endpoint(self) -> Any:
        rest = self._settings.rest_api
        if not rest.ssl:
            return endpoints.TCP4ServerEndpoint(self._reactor, rest.port, 256, rest.ip)
        logger.warning("rest_api.ssl is deprecated: let a web server in front speak TLS")
        if rest.ssl_certfile is None or rest.ssl_keyfile is None:
            raise SettingsError("rest_api.ssl needs rest_api.ssl_certfile and rest_api.ssl_keyfile")
        try:
            context = ssl.DefaultOpenSSLContextFactory(rest.ssl_keyfile, rest.ssl_certfile)
            context.getContext().use_certificate_chain_file(rest.ssl_certfile)
        except Exception as failure:
            raise SettingsError(
                f"rest_api.ssl_certfile {rest.ssl_certfile}: not usable with its key: {failure}"
            ) from failure
        return endpoints.SSL4ServerEndpoint(self._reactor, rest.port, context, 256, rest.ip)

    def _make_api(self) -> RestApi:
        return build_api(
            authorizer=self._authorizer,
            manager=self._manager,
            dhcp_events=self._dhcp_events,
            history=self._history,
            previews=self._previews,
            synchronizations=self._synchronizations,
            provisioning=self._provisioning,
            jobs=self._jobs,
            plugins=self._plugins,
            parameters=self._parameters,
            clock=self._reactor,
            status=self._status,
            catch_up=self._catch_up if self._cluster is not None else None,
            tenants_share_configs=self._settings.general.tenants_share_configs,
        )

    async def _catch_up(self) -> None:
        """Follow the other nodes before an answer, as far as that is possible."""
        assert self._cluster is not None
        try:
            await self._cluster.catch_up()
        except StoreError as failure:
            logger.debug("the other nodes cannot be followed: %s", failure)

    def _status(self) -> dict[str, Any]:
        """Return the document of `/0.2/status`."""
        plugins = {
            loaded.id: {
                "version": loaded.info.get("version"),
                "calls": loaded.stats.calls,
                "seconds": round(loaded.stats.seconds, 6),
                "slowest_seconds": round(loaded.stats.slowest, 6),
                "errors": loaded.stats.errors,
                "slow_calls": loaded.stats.slow_calls,
                "last_slow": loaded.stats.last_slow,
                "last_error": loaded.stats.last_error,
                "outside_writes": loaded.stats.outside_writes,
                "last_outside_write": loaded.stats.last_outside_write,
                "damage": loaded.damage,
            }
            for loaded in self._host
        }
        tftp = self._tftp
        return {
            "bus_consumer": {
                "status": "ok" if self._bus is None or self._bus.connected else "fail"
            },
            "rest_api": "ok",
            "version": __version__,
            "ready": self._ready,
            "uptime_seconds": round(time.monotonic() - self._began, 1),
            "main_tenant": self._manager.main_tenant,
            "jobs": self._jobs.names,
            "stalls": {
                "count": self._watchdog.stalls,
                "longest_seconds": round(self._watchdog.longest, 3),
            },
            "synchronization": {
                "way": self._settings.general.sync_service_type,
                "status": "ok" if self._notifier is None else self._notifier.status,
                "waiting": self._synchronizations.waiting,
                "confirmed": self._synchronizations.confirmed,
                "not_confirmed": self._synchronizations.not_confirmed,
                "failed": self._synchronizations.failed,
            },
            "quarantined": list(getattr(self._store, "quarantined", ())),
            "cluster": None
            if self._cluster is None
            else {"foreign_changes": self._cluster.foreign_changes},
            "devices_created": self._pipeline.created,
            "renders": self._manager.renders,
            "tftp": None
            if tftp is None
            else {
                "port": tftp.port,
                "active": tftp.active,
                "finished": tftp.transfers_finished,
                "failed": tftp.transfers_failed,
                "retransmissions": tftp.retransmissions,
                "bytes_sent": tftp.bytes_sent,
            },
            "plugins": plugins,
            "plugins_not_loaded": dict(self._host.load_errors),
        }

    async def _metrics_text(self) -> bytes:
        """Return the numbers for Prometheus."""
        now = time.monotonic()
        if now >= self._devices_counted_until:
            self._devices_counted_until = now + _COUNT_SECONDS
            count = self._manager.count_devices
            total = await count({})
            configured = await count({"configured": True})
            new = await count({"is_new": True})
            self._device_counts = {
                "configured": configured,
                "not_configured": total - configured,
                "new": new,
            }
        return self._metrics.text()

    def _samples(self) -> Iterator[Sample]:
        """Yield the numbers that others than the request path count."""
        for state, number in self._device_counts.items():
            yield (
                "provd_devices",
                "Devices by state; new ones are unclaimed.",
                {"state": state},
                number,
            )
        yield "provd_devices_created_total", "Devices made by requests.", {}, self._pipeline.created
        yield "provd_renders_total", "Devices rendered.", {}, self._manager.renders
        synchronizations = self._synchronizations
        for outcome in ("confirmed", "not_confirmed", "failed"):
            yield (
                "provd_synchronizations_total",
                "Phones told to reload, by what came of it.",
                {"outcome": outcome},
                getattr(synchronizations, outcome),
            )
        yield "provd_jobs", "Background jobs that run.", {}, len(self._jobs.names)
        watchdog = self._watchdog
        yield "provd_stalls_total", "Times the loop stood still.", {}, watchdog.stalls
        yield "provd_longest_stall_seconds", "The longest of them.", {}, watchdog.longest
        cache = self._manager.devices
        yield "provd_device_cache_hits_total", "Look-ups answered by memory.", {}, cache.hits
        yield "provd_device_cache_misses_total", "Look-ups that asked the store.", {}, cache.misses
        tftp = self._tftp
        if tftp is not None:
            yield "provd_tftp_active", "TFTP transfers under way.", {}, tftp.active
            for name, text, value in (
                ("finished", "TFTP transfers that ended well.", tftp.transfers_finished),
                ("failed", "TFTP transfers that did not.", tftp.transfers_failed),
                ("retransmissions", "TFTP packets sent again.", tftp.retransmissions),
            ):
                yield f"provd_tftp_{name}_total", text, {}, value
        plugins = [(loaded.id, loaded.stats) for loaded in self._host]
        for name, text, field in (
            ("calls", "Calls into a plugin.", "calls"),
            ("seconds", "Time spent in a plugin.", "seconds"),
            ("errors", "Calls that raised.", "errors"),
            ("slow_calls", "Calls that held the loop for a second.", "slow_calls"),
        ):
            for plugin_id, stats in plugins:
                value = getattr(stats, field)
                yield f"provd_plugin_{name}_total", text, {"plugin": plugin_id}, value
        yield "provd_plugins", "Plugins that are loaded.", {}, len(plugins)
        yield "provd_plugins_not_loaded", "Those that are not.", {}, len(self._host.load_errors)

    def _announce(self) -> None:
        """Say that the daemon is ready, and with `--hints` how to try it."""
        general = self._settings.general
        scheme = "https" if self._settings.rest_api.ssl else "http"
        address = self._settings.rest_api.ip or "127.0.0.1"
        rest = f"{scheme}://{address}:{self._rest_port}/0.2"
        phones = self._base_raw_config["http_base_url"]
        logger.info(
            "ready in %.1f s: REST on %s, phones on %s, %d plugins",
            time.monotonic() - self._began,
            rest,
            phones,
            len(self._host),
        )
        if isinstance(self._authorizer, LocalAuthorizer) and self._authorizer.made_admin_token:
            logger.info("the first admin token is in %s", self._settings.auth.admin_token_file)
        if not self._hints:
            return
        token = os.path.relpath(self._settings.auth.admin_token_file)
        local = "127.0.0.1"
        http_port = general.http_listen_port or general.http_proxied_listen_port
        tftp_port = self._tftp.port if self._tftp is not None else None
        mac = "00:15:65:12:34:56"
        http = f"http://{local}:{http_port}"
        agent = f"Yealink SIP-T46S 66.86.0.15 {mac}"
        lines = [
            "",
            f"provd {__version__} is ready.",
            f"  REST   {rest}",
            f"  HTTP   {phones}  (phones)",
            f"  TFTP   udp port {tftp_port}  (phones)" if tftp_port else "  TFTP   off",
            f"  token  the admin token is in {token}",
            "",
            "Try it:",
            f"  .venv/bin/provd-phone boot --vendor yealink --model T46S --mac {mac} --http {http}",
            f'  curl -s -H "X-Auth-Token: $(cat {token})" {rest}/dev_mgr/devices',
            f"  curl -s -A '{agent}' {http}/001565123456.cfg",
            "",
        ]
        if sys.__stdout__ is not None:  # twistd turns sys.stdout into log events
            sys.__stdout__.write("\n".join(lines) + "\n")
            sys.__stdout__.flush()

    # Stop

    def stopService(self) -> defer.Deferred[None]:
        """Stop: no new requests, what runs is finished or cut after the time allowed."""
        return defer.Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        if not hasattr(self, "_store"):
            await _result(super().stopService())
            return
        seconds = self._settings.general.shutdown_seconds
        deadline = time.monotonic() + seconds
        await self._quietly(self._stop_listening)
        if self._cluster is not None:
            self._cluster.stop()
        if self._bus is not None and self._tenant_sync is not None:
            await self._quietly(self._bus.stop)
            await self._quietly(self._tenant_sync.stop)
        await self._quietly(lambda: _result(super(Daemon, self).stopService()))
        while any(site.active for site in self._sites) and time.monotonic() < deadline - 0.5:
            await task.deferLater(self._reactor, 0.02)
        if self._agi is not None:
            await self._quietly(self._agi.stop)
        await self._quietly(self._authorizer.stop)
        await self._quietly(self._jobs.stop)
        try:
            self._host.close()
        except Exception:
            logger.exception("plugins could not be closed")
        synchronize.unregister_sync_service()
        if self._notifier is not None:
            await self._quietly(self._notifier.stop)
        await self._quietly(self._store.close)
        self._watchdog.stop()
        if self._pool.started:
            await self._quietly(self._stop_pool)
        logger.info("provd stopped")

    async def _stop_listening(self) -> None:
        for port in self._ports:
            await _result(port.stopListening())

    async def _stop_pool(self) -> None:
        """Stop the workers without waiting for one that hangs in the network."""
        stopping = ThreadPoolExecutor(1, thread_name_prefix="stop")
        done: defer.Deferred[None] = defer.Deferred()
        stopping.submit(self._pool.stop).add_done_callback(
            lambda _: self._reactor.callFromThread(done.callback, None)
        )
        stopping.shutdown(wait=False)
        await done.addTimeout(1.0, self._reactor)

    @staticmethod
    async def _quietly(step: Callable[[], Awaitable[Any]]) -> None:
        """Run a step of the shutdown; its failure is logged, the next step runs all the same."""
        try:
            await step()
        except Exception:
            logger.exception("a step of the shutdown failed")


def _phone_of(caller: Caller) -> Phone:
    return Phone(account=caller.account, address=caller.address, port=caller.port)


def _allow_descriptors() -> None:
    """Raise the limit of open files as far as it goes: each phone being served holds one or two."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as failure:
        logger.info("the limit of %d open files stays: %s", limit, failure)


def _exit_with_failure() -> None:
    logging.shutdown()
    sys.stderr.flush()
    os._exit(1)


def _result(value: Any) -> defer.Deferred[Any]:
    return defer.maybeDeferred(lambda: value)


def _url(https: bool, host: str, port: int, prefix: str | None) -> str:
    path = f"/{prefix.strip('/')}" if prefix else ""
    return f"http{'s' if https else ''}://{host}:{port}{path}"


def _as_dict(section: Any) -> dict[str, Any]:
    import attrs

    return attrs.asdict(section)


def make_service(options: Options, defaults: Defaults) -> Daemon:
    """Return the daemon as a service; unusable settings end the process with one line."""
    from twisted.internet import reactor

    compat.install()
    try:
        settings = load(options.given(), defaults=defaults)
        _check_store(settings)
    except ProvdError as failure:
        sys.exit(f"provd: {failure}")
    try:
        logs.setup(
            verbose=settings.general.verbose,
            log_file=settings.logging.file,
            security_log_file=settings.logging.security_file,
        )
    except OSError as failure:
        sys.exit(f"provd: a log file cannot be opened: {failure}")
    return Daemon(reactor, settings, hints=bool(options["hints"]))


def _check_store(settings: Settings) -> None:
    """Refuse settings or a database file that can never work, before anything is started."""
    if settings.database.type in {"json", "sqlite"}:
        SqliteStore.check_file(settings.database.file)
    else:
        make_store(settings, None)


def makeService(options: Options) -> Daemon:
    """Return the service of `twistd provd`."""
    return make_service(options, PROVD)


def make_wazo_service(options: Options) -> Daemon:
    """Return the service of `twistd wazo-provd`: the old daemon's paths and file names."""
    return make_service(options, WAZO)
