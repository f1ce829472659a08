"""Services, extractors and association, as far as no phone is needed."""

# ruff: noqa: F821 - the loader and entry.py give names

from wazo_provd.devices.ident import RequestType
from wazo_provd.devices.pgasso import BasePgAssociator, DeviceSupport


@row("5.request_type")
def request_type(plugin):
    assert [kind.value for kind in RequestType] == ["http", "tftp", "dhcp"]


@row("5.associator")
def associator(plugin):
    class Mine(BasePgAssociator):
        def _do_associate(self, vendor, model, version):
            return (vendor, model, version)

    assert Mine().associate({}) == DeviceSupport.UNKNOWN
    assert Mine().associate({"vendor": "V"}) == ("V", None, None)
    assert plugin.pg_associator.associate({"vendor": "Rowan"}) == 310


@row("5.support")
def support(plugin):
    values = {level.name: level.value for level in DeviceSupport}
    assert values == {
        "NONE": 0,
        "IMPROBABLE": 100,
        "UNKNOWN": 200,
        "PROBABLE": 300,
        "INCOMPLETE": 400,
        "COMPLETE": 500,
        "EXACT": 600,
    }
