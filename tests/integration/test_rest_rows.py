"""Every method of every route asks for its own access, and for no other."""

import inspect
import re

import attrs
import pytest
from harness import Daemon

from provd.auth.local import TokenFile
from provd.rest.root import build_api
from tests.integration import workshop
from tests.integration.workshop import PACKAGE, PARAMETER, PLUGIN, finish

# The dots tell whether they become `_` in an access.
DEVICE = "desk.1"
CONFIG = "alice.1"
FILLED = {"device_id": DEVICE, "config_id": CONFIG, "plugin_id": PLUGIN}
CONFIG_DOCUMENT = {"id": CONFIG, "parent_ids": ["base"], "raw_config": {"X_value": "v"}}
DEVICE_DOCUMENT = {"id": DEVICE, "plugin": PLUGIN, "config": CONFIG}
NO_TOKEN = {"X-Auth-Token": None}


@attrs.frozen
class Row:
    """A method of a route, its access, and a call that succeeds."""

    method: str
    route: str
    """Below /0.2."""
    access: str | None
    status: int = 200
    body: object = None
    values: dict = attrs.field(factory=dict)
    """Of the variables in the path, where FILLED does not have them."""
    before: object = lambda _daemon: None
    """Makes what the call needs; for an operation, returns its number."""

    @property
    def name(self):
        return f"{self.method} {self.route or '/'}"


def begun(path, **body):
    """Return what begins an operation and gives its number."""

    def begin(daemon):
        answer = daemon.post(path, body)
        finish(daemon, answer)
        return answer.headers["location"].rpartition("/")[2]

    return begin


def have_config(daemon):
    assert daemon.post("/cfg_mgr/configs", {"config": CONFIG_DOCUMENT}).status in {201, 400}


def have_device(daemon):
    have_config(daemon)
    assert daemon.post("/dev_mgr/devices", {"device": DEVICE_DOCUMENT}).status in {201, 400}


def have_code(daemon):
    document = {
        "id": "coded",
        "parent_ids": ["base"],
        "raw_config": {},
        "X_provisioning_code": "4711",
    }
    assert daemon.post("/cfg_mgr/configs", {"config": document}).status in {201, 400}


def have_job(daemon):
    """Begin to tell two phones to reload, the second one much later; return the job's id."""
    have_plugin(daemon)
    have_device(daemon)
    other = {"id": "desk.2", "plugin": PLUGIN, "config": CONFIG}
    assert daemon.post("/dev_mgr/devices", {"device": other}).status in {201, 400}
    for name in (DEVICE, "desk.2"):
        assert daemon.post("/dev_mgr/reconfigure", {"id": name}).status == 204
    body = {"selector": {}, "per_second": 0.01}
    assert daemon.post("/dev_mgr/resynchronize", body).status == 201
    jobs = daemon.get("/jobs").json["jobs"]
    return next(job["id"] for job in jobs if job["name"] == "synchronisation of 2 devices")


def have_no_device(daemon):
    assert daemon.delete(f"/dev_mgr/devices/{DEVICE}").status in {204, 404}


def have_no_config(daemon):
    have_no_device(daemon)
    assert daemon.delete(f"/cfg_mgr/configs/{CONFIG}").status in {204, 404}


def have_plugin(daemon):
    if PLUGIN not in daemon.get("/pg_mgr/plugins").json["plugins"]:
        workshop.install(daemon)


def have_no_plugin(daemon):
    workshop.finish(daemon, daemon.post("/pg_mgr/install/update", {}))
    assert daemon.post("/pg_mgr/install/uninstall", {"id": PLUGIN}).status in {204, 400}


PACKAGES = f"/pg_mgr/plugins/{PLUGIN}/install"


def have_package(daemon):
    have_plugin(daemon)
    if PACKAGE not in daemon.get(f"{PACKAGES}/installed").json["pkgs"]:
        finish(daemon, daemon.post(f"{PACKAGES}/install", {"id": PACKAGE}))


def after(*steps):
    """Return the steps in one; the last one's result counts."""

    def run(daemon):
        return [step(daemon) for step in steps][-1]

    return run


def operation(route, before):
    """Return the two rows of an operation that `before` begins."""
    route = f"{route}/<operation_id>"
    return [
        Row("GET", route, "provd.operation.read", before=before),
        Row("DELETE", route, "provd.operation.delete", 204, before=before),
    ]


ONE = "/pg_mgr/plugins/<plugin_id>"
ONE_ACCESS = "provd.pg_mgr.plugins.{plugin_id}"
INSTALL = "provd.pg_mgr.install"
READ_PARAMETER = "provd.configure.{tenant_uuid}.{param_id}.read"
UPDATE_PARAMETER = "provd.configure.{tenant_uuid}.{param_id}.update"
LEVEL = {"param_id": PARAMETER}
NAT = {"param_id": "NAT"}
COMMIT = {"op": "commit", "ip": "192.0.2.1", "mac": "00:11:22:33:44:55", "options": []}
SYNCHRONIZED = after(have_device, begun("/dev_mgr/synchronize", id=DEVICE))
INSTALLED = after(have_package, begun(f"{PACKAGES}/install", id=PACKAGE))
UPGRADED = after(have_package, begun(f"{PACKAGES}/upgrade", id=PACKAGE))

ROWS = [
    Row("GET", "", "provd.read"),
    Row("GET", "/status", "provd.status.read"),
    Row("GET", "/api/api.yml", None),
    Row("GET", "/api/openapi.yml", None),
    Row("GET", "/api/index.html", None),
    # Devices
    Row("GET", "/dev_mgr", "provd.dev_mgr.read"),
    Row("GET", "/dev_mgr/devices", "provd.dev_mgr.devices.read"),
    Row(
        "POST",
        "/dev_mgr/devices",
        "provd.dev_mgr.devices.create",
        201,
        {"device": DEVICE_DOCUMENT},
        before=have_no_device,
    ),
    Row(
        "GET",
        "/dev_mgr/devices/<device_id>",
        "provd.dev_mgr.devices.{device_id}.read",
        before=have_device,
    ),
    Row(
        "PUT",
        "/dev_mgr/devices/<device_id>",
        "provd.dev_mgr.devices.{device_id}.update",
        204,
        {"device": DEVICE_DOCUMENT},
        before=have_device,
    ),
    Row(
        "DELETE",
        "/dev_mgr/devices/<device_id>",
        "provd.dev_mgr.devices.{device_id}.delete",
        204,
        before=have_device,
    ),
    Row(
        "GET",
        "/dev_mgr/devices/<device_id>/history",
        "provd.dev_mgr.devices.{device_id}.history.read",
        before=have_device,
    ),
    Row(
        "GET",
        "/dev_mgr/devices/<device_id>/preview",
        "provd.dev_mgr.devices.{device_id}.preview.read",
        before=after(have_plugin, have_device),
    ),
    Row(
        "POST",
        "/dev_mgr/reconfigure",
        "provd.dev_mgr.reconfigure.create",
        204,
        {"id": DEVICE},
        before=have_device,
    ),
    Row(
        "POST",
        "/dev_mgr/synchronize",
        "provd.dev_mgr.synchronize.create",
        201,
        {"id": DEVICE},
        before=have_device,
    ),
    *operation("/dev_mgr/synchronize", SYNCHRONIZED),
    Row(
        "POST",
        "/dev_mgr/resynchronize",
        "provd.dev_mgr.resynchronize.create",
        201,
        {"plugin": "none"},
    ),
    *operation("/dev_mgr/resynchronize", begun("/dev_mgr/resynchronize", plugin="none")),
    Row(
        "POST",
        "/dev_mgr/provision",
        "provd.dev_mgr.provision.create",
        body={"code": "4711", "id": DEVICE},
        before=after(have_device, have_code),
    ),
    Row("POST", "/dev_mgr/dhcpinfo", "provd.dev_mgr.dhcpinfo.create", 204, {"dhcp_info": COMMIT}),
    Row("GET", "/dev_mgr/duplicates", "provd.dev_mgr.duplicates.read", 200),
    # Configs
    Row("GET", "/cfg_mgr", "provd.cfg_mgr.read"),
    Row("GET", "/cfg_mgr/configs", "provd.cfg_mgr.configs.read"),
    Row(
        "POST",
        "/cfg_mgr/configs",
        "provd.cfg_mgr.configs.create",
        201,
        {"config": CONFIG_DOCUMENT},
        before=have_no_config,
    ),
    Row(
        "GET",
        "/cfg_mgr/configs/<config_id>",
        "provd.cfg_mgr.configs.{config_id}.read",
        before=have_config,
    ),
    Row(
        "PUT",
        "/cfg_mgr/configs/<config_id>",
        "provd.cfg_mgr.configs.{config_id}.update",
        204,
        {"config": CONFIG_DOCUMENT},
        before=have_config,
    ),
    Row(
        "DELETE",
        "/cfg_mgr/configs/<config_id>",
        "provd.cfg_mgr.configs.{config_id}.delete",
        204,
        before=have_config,
    ),
    Row(
        "GET",
        "/cfg_mgr/configs/<config_id>/raw",
        "provd.cfg_mgr.configs.{config_id}.raw.read",
        before=have_config,
    ),
    Row("POST", "/cfg_mgr/autocreate", "provd.cfg_mgr.autocreate.create", 201, {}),
    # Plugins
    Row("GET", "/pg_mgr", "provd.pg_mgr.read"),
    Row("GET", "/pg_mgr/plugins", "provd.pg_mgr.plugins.read"),
    Row(
        "POST",
        "/pg_mgr/reload",
        "provd.pg_mgr.reload.create",
        204,
        {"id": PLUGIN},
        before=have_plugin,
    ),
    Row("GET", "/pg_mgr/install", f"{INSTALL}.read"),
    Row("GET", "/pg_mgr/install/installed", f"{INSTALL}.installed.read"),
    Row("GET", "/pg_mgr/install/installable", f"{INSTALL}.installable.read"),
    Row("POST", "/pg_mgr/install/update", f"{INSTALL}.update.create", 201, {}),
    *operation("/pg_mgr/install/update", begun("/pg_mgr/install/update")),
    Row(
        "POST",
        "/pg_mgr/install/install",
        f"{INSTALL}.install.create",
        201,
        {"id": PLUGIN},
        before=have_no_plugin,
    ),
    *operation(
        "/pg_mgr/install/install",
        after(have_no_plugin, begun("/pg_mgr/install/install", id=PLUGIN)),
    ),
    Row(
        "POST",
        "/pg_mgr/install/upgrade",
        f"{INSTALL}.upgrade.create",
        201,
        {"id": PLUGIN},
        before=have_plugin,
    ),
    *operation(
        "/pg_mgr/install/upgrade",
        after(have_plugin, begun("/pg_mgr/install/upgrade", id=PLUGIN)),
    ),
    Row(
        "POST",
        "/pg_mgr/install/uninstall",
        f"{INSTALL}.uninstall.create",
        204,
        {"id": PLUGIN},
        before=have_plugin,
    ),
    # One plugin
    Row("GET", ONE, f"{ONE_ACCESS}.read", before=have_plugin),
    Row("GET", f"{ONE}/info", f"{ONE_ACCESS}.info.read", before=have_plugin),
    Row("GET", f"{ONE}/install", f"{ONE_ACCESS}.install.read", before=have_plugin),
    Row(
        "GET",
        f"{ONE}/install/installed",
        f"{ONE_ACCESS}.install.installed.read",
        before=have_plugin,
    ),
    Row(
        "GET",
        f"{ONE}/install/installable",
        f"{ONE_ACCESS}.install.installable.read",
        before=have_plugin,
    ),
    Row(
        "POST",
        f"{ONE}/install/install",
        f"{ONE_ACCESS}.install.install.create",
        201,
        {"id": PACKAGE},
        before=have_plugin,
    ),
    *operation(f"{ONE}/install/install", INSTALLED),
    Row(
        "POST",
        f"{ONE}/install/upgrade",
        f"{ONE_ACCESS}.install.upgrade.create",
        201,
        {"id": PACKAGE},
        before=have_package,
    ),
    *operation(f"{ONE}/install/upgrade", UPGRADED),
    Row(
        "POST",
        f"{ONE}/install/uninstall",
        f"{ONE_ACCESS}.install.uninstall.create",
        204,
        {"id": PACKAGE},
        before=have_package,
    ),
    Row("GET", f"{ONE}/configure", f"{ONE_ACCESS}.configure.read", before=have_plugin),
    Row("GET", f"{ONE}/configure/<param_id>", READ_PARAMETER, values=LEVEL, before=have_plugin),
    Row(
        "PUT",
        f"{ONE}/configure/<param_id>",
        UPDATE_PARAMETER,
        204,
        {"param": {"value": "high"}},
        LEVEL,
        before=have_plugin,
    ),
    # Parameters
    Row("GET", "/jobs", "provd.jobs.read"),
    Row("GET", "/jobs/<job_id>", "provd.jobs.read", before=have_job),
    Row("DELETE", "/jobs/<job_id>", "provd.jobs.delete", 204, before=have_job),
    Row("GET", "/configure", "provd.configure.read"),
    Row("GET", "/configure/<param_id>", READ_PARAMETER, values=NAT),
    Row("PUT", "/configure/<param_id>", UPDATE_PARAMETER, 204, {"param": {"value": 0}}, NAT),
]

# What an argument of the query needs besides, where it is `true`: (method, route, argument).
GUARDED = {
    (
        "GET",
        "/dev_mgr/devices/<device_id>/preview",
        "passwords",
    ): "provd.dev_mgr.devices.{device_id}.preview.passwords.read"
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with workshop.workshop(tmp_path_factory.mktemp("shop")) as shop:
        running = Daemon(
            tmp_path_factory.mktemp("provd"), settings=workshop.settings(shop), plugins="none"
        ).start()
        try:
            workshop.install(running)
            yield running
        finally:
            running.stop()


class Tokens:
    """Makes tokens in the daemon's file, one for each set of accesses."""

    def __init__(self, daemon):
        self.tenant = daemon.get("/status").json["main_tenant"]
        self._file = TokenFile(str(daemon.state / "tokens.json"))
        self._made = {}
        self._all = {
            self.access(access, row.values)
            for row in ROWS
            for access in (row.access, *GUARDED.values())
            if access is not None
        }

    def access(self, access, values):
        names = {**FILLED, **values}
        names = {name: value.replace(".", "_") for name, value in names.items()}
        return access.format(tenant_uuid=self.tenant, **names)

    def having(self, *accesses):
        """Return a token that allows these and nothing else."""
        if accesses not in self._made:
            self._made[accesses] = self._file.create(f"t{len(self._made)}", accesses)
        return self._made[accesses]

    def lacking(self, access):
        """Return a token that allows everything in the table but this."""
        return self.having(*sorted(self._all - {access}))


@pytest.fixture(scope="module")
def tokens(daemon):
    return Tokens(daemon)


def call(daemon, row, number, token, method=None, **args):
    """Do what the row says; `token` None sends none."""
    values = {**FILLED, **row.values, "operation_id": number, "job_id": number}
    path = re.sub(r"<(\w+)>", lambda match: values[match[1]], row.route)
    return daemon.rest(
        method or row.method,
        path,
        row.body,
        token=token,
        headers=NO_TOKEN if token is None else None,
        **args,
    )


def assert_unauthorized(answer):
    assert (answer.status, answer.body) == (401, b"Unauthorized")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_call_needs_its_access_and_no_other(daemon, tokens, row):
    number = row.before(daemon)
    if row.access is None:
        assert call(daemon, row, number, None).status == row.status
        assert call(daemon, row, number, "invalid").status == row.status
        return
    access = tokens.access(row.access, row.values)
    refused = (None, "invalid", tokens.having("provd.nothing"), tokens.lacking(access))
    exact = tokens.having(access)
    for token in refused:
        assert_unauthorized(call(daemon, row, number, token))
    if row.method == "GET":
        for token in refused:
            assert call(daemon, row, number, token, "HEAD").status == 401
        assert call(daemon, row, number, exact, "HEAD").status == row.status
    answer = call(daemon, row, number, exact)
    assert answer.status == row.status, answer
    if row.status == 201 and not answer.body:
        finish(daemon, answer)


@pytest.mark.parametrize("key", GUARDED, ids=" ".join)
def test_an_argument_that_shows_more_needs_an_access_of_its_own(daemon, tokens, key):
    method, route, argument = key
    (row,) = [row for row in ROWS if (row.method, row.route) == (method, route)]
    number = row.before(daemon)
    plain = tokens.access(row.access, row.values)
    more = tokens.access(GUARDED[key], row.values)
    for token in (tokens.having(plain), tokens.having(more)):
        assert_unauthorized(call(daemon, row, number, token, **{argument: "true"}))
    both = tokens.having(plain, more)
    assert call(daemon, row, number, both, **{argument: "true"}).status == row.status
    assert call(daemon, row, number, tokens.having(plain), **{argument: "no"}).status == row.status


def test_the_table_has_every_method_of_every_route():
    api = build_api(**dict.fromkeys(inspect.signature(build_api).parameters))
    actions = {
        (method, route.path.removeprefix("/0.2")): action
        for route in api.routes
        for method, action in route.actions.items()
    }
    assert {key: action.access for key, action in actions.items()} == {
        (row.method, row.route): row.access for row in ROWS
    }
    assert len(ROWS) == len(actions)
    assert {
        (*key, argument): access
        for key, action in actions.items()
        for argument, access in action.guarded.items()
    } == GUARDED
    assert all(row.status == actions[row.method, row.route].status for row in ROWS)
