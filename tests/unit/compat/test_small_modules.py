"""Operations, downloads, proxies, observers and the rest behave as plugins expect."""

import urllib.request

import pytest
import pytest_twisted
from twisted.internet import defer

from provd.compat import download, operation, plugins, tzinform
from provd.compat.devices import config, device, schemas
from provd.compat.proxy import DynProxyHandler
from provd.errors import InvalidDocument, OperationRunning, RawConfigError


def test_an_operation_shows_its_parts():
    part = operation.OperationInProgress("download", operation.OIP_PROGRESS, 10, 900)
    oip = operation.OperationInProgress("install", sub_oips=[part])
    assert operation.format_oip(oip) == "install|waiting(download|progress;10/900)"
    oip.sub_oips = []
    assert operation.format_oip(oip) == "install|waiting"


def test_an_operation_follows_a_deferred_and_leaves_its_result():
    fine, bad = defer.Deferred(), defer.Deferred()
    first = operation.operation_in_progres_from_deferred(fine, "a")
    second = operation.operation_in_progres_from_deferred(bad)
    assert (first.state, operation.format_oip(second)) == ("progress", "progress")
    fine.callback("result")
    bad.errback(ValueError("reason"))
    assert (first.state, second.state, second.error) == ("success", "fail", "reason")
    assert fine.result == "result"
    assert bad.result.check(ValueError)
    bad.addErrback(lambda _: None)


class RemoteFile:
    size = 6

    def __init__(self, *, fails=False):
        self.fails = fails

    def download(self, hooks):
        for hook in hooks:
            hook.start()
            hook.update(2)
        if self.fails:
            raise ValueError("the line is cut")
        for hook in hooks:
            hook.update(4)
        return "path"


class Hook:
    def __init__(self):
        self.counts = []

    def start(self):
        self.counts.append(0)

    def update(self, count):
        self.counts.append(count)


@pytest_twisted.ensureDeferred
async def test_a_download_tells_its_hooks_and_shows_its_course():
    hook = Hook()
    assert await download.async_download(RemoteFile(), [hook]) == "path"
    assert hook.counts == [0, 2, 4]
    finished, oip = download.async_download_with_oip(RemoteFile(), [hook])
    assert await finished == "path"
    assert operation.format_oip(oip) == "success;6/6"


@pytest_twisted.ensureDeferred
async def test_a_download_that_fails_ends_its_operation():
    finished, oip = download.async_download_with_oip(RemoteFile(fails=True))
    with pytest.raises(ValueError, match="cut"):
        await finished
    assert operation.format_oip(oip) == "fail;2/6"


@pytest_twisted.ensureDeferred
async def test_several_downloads_run_one_after_the_other_until_one_fails():
    finished, oip = download.async_download_multiseq_with_oip([RemoteFile(), RemoteFile()])
    assert await finished == ["path", "path"]
    assert operation.format_oip(oip) == "success(success;6/6)(success;6/6)"
    finished, oip = download.async_download_multiseq_with_oip(
        [RemoteFile(fails=True), RemoteFile()]
    )
    with pytest.raises(ValueError, match="cut"):
        await finished
    assert operation.format_oip(oip) == "fail(fail;2/6)(fail)"


def test_a_proxy_handler_follows_the_live_map():
    proxies = {}
    handler = DynProxyHandler(proxies)
    urllib.request.build_opener(handler)
    request = urllib.request.Request("http://host/file")
    assert handler.http_open(request) is None
    assert (request.host, request.has_proxy()) == ("host", False)
    proxies["http"] = "http://proxy:8080"
    assert handler.http_open(request) is None
    assert (request.host, request.has_proxy()) == ("proxy:8080", True)
    assert handler.ftp_open(urllib.request.Request("ftp://host/file")) is None


def test_a_proxy_handler_ignores_the_environment(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy:8080")
    request = urllib.request.Request("https://host/file")
    assert DynProxyHandler({}).https_open(request) is None
    assert not request.has_proxy()


def test_a_zone_database_may_have_a_default():
    db = tzinform.DefaultTimezoneInfoDB("Europe/Paris", tzinform.TextTimezoneInfoDB())
    assert db.get_timezone_info("Asia/Tokyo")["utcoffset"].as_seconds == 32400
    assert db.get_timezone_info("Mars/Olympus")["utcoffset"].as_seconds == 3600
    with pytest.raises(tzinform.TimezoneNotFoundError):
        tzinform.DefaultTimezoneInfoDB("Mars/Olympus", tzinform.NativeTimezoneInfoDB())


def test_an_observer_calls_the_functions_it_has():
    seen = []
    observer = plugins.BasePluginManagerObserver(pg_load=seen.append)
    observer.pg_load("a")
    observer.pg_unload("a")
    assert seen == ["a"]
    with pytest.raises(TypeError):
        plugins.AbstractPluginManagerObserver()


def test_an_installation_runs_once_at_a_time():
    controller = plugins.AsyncInstallerController()
    pending = defer.Deferred()
    finished, oip = controller.run("pkg", "install", lambda: pending)
    with pytest.raises(OperationRunning):
        controller.run("pkg", "install", lambda: None)
    assert operation.format_oip(oip) == "install|progress"
    pending.callback(None)
    assert finished.called
    assert operation.format_oip(oip) == "install|success"
    assert controller.run("pkg", "install", lambda: None)[1].state == "success"


def test_collections_are_views_of_the_application(app, now):
    devices, configs = device.DeviceCollection(app), config.ConfigCollection(app)
    now(configs.insert({"id": "c1", "parent_ids": [], "raw_config": {"ntp_ip": "10.0.0.2"}}))
    assert now(configs.get_raw_config("c1"))["ntp_ip"] == "10.0.0.2"
    now(devices.insert({"id": "d1"}))
    now(devices.update({"id": "d1", "model": "A"}))
    assert now(devices.find_one({"model": "A"}))["id"] == "d1"
    now(devices.delete("d1"))
    assert now(devices.retrieve("d1")) is None


def test_a_copied_device_shares_nothing():
    original = {"id": "d1", "options": {"a": [1]}}
    copied = device.copy(original)
    copied["options"]["a"].append(2)
    assert original == {"id": "d1", "options": {"a": [1]}}
    assert device.needs_reconfiguration(original, {**original, "model": "A"})


def test_schemas_refuse_what_may_not_be_stored():
    schemas.ConfigSchema.validate({"parent_ids": [], "raw_config": {}})
    schemas.DeviceSchema.validate({"id": "d1", "tenant_uuid": None})
    with pytest.raises(RawConfigError):
        schemas.RawConfigSchema.validate({"unknown": 1})
    with pytest.raises(InvalidDocument):
        schemas.ConfigSchema.validate({})
    with pytest.raises(InvalidDocument):
        schemas.DeviceSchema.validate({"mac": "no MAC"})
