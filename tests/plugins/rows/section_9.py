"""What request-processing files are made of."""

# ruff: noqa: F821 - the loader and entry.py give names

from twisted.internet import defer
from wazo_provd.devices import ident, pgasso

MAC = "00:00:5e:00:53:%02x"
TFTP = {"address": ("10.0.0.1", 1), "packet": {"filename": b"x"}}
DHCP = {"ip": "10.0.0.1", "mac": MAC % 1, "options": {}}


class Fixed(ident.AbstractDeviceInfoExtractor):
    def __init__(self, info):
        self.info = info

    def extract(self, request, request_type):
        return defer.succeed(self.info)


class Found(ident.AbstractDeviceRetriever):
    def __init__(self, device):
        self.device = device

    def retrieve(self, dev_info):
        return defer.succeed(self.device)


class Mark(ident.AbstractDeviceUpdater):
    def update(self, device, dev_info, request, request_type):
        device["marked"] = True
        return defer.succeed(None)


async def with_device(plugin, number, function, **keys):
    device = {"mac": MAC % number, "ip": f"10.99.{len(plugin.id)}.{number}", **keys}
    device["sn"] = f"sn-{plugin.id}-{number}"
    device["uuid"] = f"2c5f2d7e-0000-4000-8000-0000{number + 256 * len(plugin.id):08x}"
    device["mac"] = f"00:00:5e:00:{len(plugin.id):02x}:{number:02x}"
    device_id = await plugin.app.dev_insert(device)
    try:
        await function({**device, "id": device_id})
    finally:
        await plugin.app.dev_delete(device_id)


@row("9.standard_extractor")
async def standard_extractor(plugin):
    extractor = ident.StandardDeviceInfoExtractor()
    assert await extractor.extract(TFTP, ident.RequestType.TFTP) == {"ip": "10.0.0.1"}
    assert await extractor.extract(DHCP, "dhcp") == {"ip": "10.0.0.1", "mac": MAC % 1}


@row("9.updaters_of_info")
async def updaters_of_info(plugin):
    voting, last = ident.VotingUpdater(), ident.LastSeenUpdater()
    for value in ("a", "b", "b", "c"):
        voting.update({"k": value})
        last.update({"k": value})
    assert (voting.dev_info, last.dev_info) == ({"k": "b"}, {"k": "c"})


@row("9.collaborating_extractor")
async def collaborating_extractor(plugin):
    extractor = ident.CollaboratingDeviceInfoExtractor(
        ident.LastSeenUpdater, [Fixed({"a": 1, "b": 1}), Fixed(None), Fixed({"b": 2})]
    )
    assert await extractor.extract(TFTP, "tftp") == {"a": 1, "b": 2}


@row("9.all_plugins_extractor")
async def all_plugins_extractor(plugin):
    extractor = ident.AllPluginsDeviceInfoExtractor(
        lambda found: ident.CollaboratingDeviceInfoExtractor(ident.VotingUpdater, found),
        plugin.app.pg_mgr,
    )
    request = {"ip": "10.0.0.1", "mac": MAC % 1, "options": {60: "rowan:R1"}}
    assert (await extractor.extract(request, ident.RequestType.DHCP))["vendor"] == "Rowan"


@row("9.retrievers_by_key")
async def retrievers_by_key(plugin):
    async def check(device):
        for key, make in (
            ("mac", ident.MacDeviceRetriever),
            ("sn", ident.SerialNumberDeviceRetriever),
            ("uuid", ident.UUIDDeviceRetriever),
            ("ip", ident.IpDeviceRetriever),
        ):
            found = await make(plugin.app).retrieve({key: device[key]})
            assert found["id"] == device["id"], key
        found = await ident.SearchDeviceRetriever(plugin.app, "sn").retrieve({"sn": device["sn"]})
        assert found["id"] == device["id"]

    await with_device(plugin, 2, check)


@row("9.add_retriever")
async def add_retriever(plugin):
    mac = f"00:00:5e:00:{len(plugin.id):02x}:03"
    found = await ident.AddDeviceRetriever(plugin.app).retrieve({"mac": mac})
    assert (found["mac"], found["added"]) == (mac, "auto")
    await plugin.app.dev_delete(found["id"])


@row("9.first_retriever")
async def first_retriever(plugin):
    first = ident.FirstCompositeDeviceRetriever([Found(None), Found({"id": "a"}), Found({})])
    assert await first.retrieve({}) == {"id": "a"}


@row("9.updaters_of_devices")
async def updaters_of_devices(plugin):
    device, info = {"ip": "1"}, {"ip": "2", "version": "3", "vendor": "V"}
    await ident.NullDeviceUpdater().update(device, info, None, "http")
    assert device == {"ip": "1"}
    await ident.DynamicDeviceUpdater(["version", "ip"]).update(device, info, None, "http")
    assert device == {"ip": "1", "version": "3"}
    await ident.DynamicDeviceUpdater("ip", force_update=True).update(device, info, None, "http")
    assert device == {"ip": "2", "version": "3"}
    await ident.AddInfoDeviceUpdater().update(device, info, None, "http")
    assert device == {"ip": "2", "version": "3", "vendor": "V"}
    await ident.CompositeDeviceUpdater([Mark()]).update(device, info, None, "http")
    assert device["marked"]


@row("9.autocreate_updater")
async def autocreate_updater(plugin):
    device = {"id": "none"}
    updater = ident.AutocreateConfigDeviceUpdater(plugin.app)
    await updater.update(device, {}, None, "http")
    config = await plugin.app.cfg_retrieve(device["config"])
    assert config["parent_ids"] == ["autoprov"]


@row("9.outdated_ip_updater")
async def outdated_ip_updater(plugin):
    async def check(device):
        updater = ident.RemoveOutdatedIpDeviceUpdater(plugin.app)
        await updater.update({"id": "new"}, {"ip": device["ip"]}, None, "http")
        assert "ip" not in await plugin.app.dev_retrieve(device["id"])

    await with_device(plugin, 4, check)


@row("9.associator_updater")
async def associator_updater(plugin):
    solver = pgasso.ReverseAlphabeticConflictSolver()
    assert solver.solve(["a-1", "a-2"]) == "a-2"
    updater = pgasso.PluginAssociatorDeviceUpdater(plugin.app.pg_mgr, solver)
    assert (updater.force_update, updater.min_level) == (False, 300)
    device = {}
    await updater.update(device, {"vendor": "Rowan", "model": "R1"}, None, "http")
    assert device["plugin"] == max(k for k in plugin.app.pg_mgr if k.startswith("rows-"))


@row("9.abstract_bases")
def abstract_bases(plugin):
    for base in (
        ident.AbstractDeviceInfoExtractor,
        ident.AbstractDeviceRetriever,
        ident.AbstractDeviceUpdater,
        pgasso.AbstractPluginAssociator,
        pgasso.AbstractConflictSolver,
    ):
        try:
            base()
        except TypeError:
            continue
        raise AssertionError(base)
