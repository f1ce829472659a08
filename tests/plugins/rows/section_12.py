"""Synchronisation."""

# ruff: noqa: F821 - the loader and entry.py give names

from twisted.python.threadable import isInIOThread

from wazo_provd import synchronize


class Service:
    TYPE = "AsteriskAMI"

    def __init__(self):
        self.sent = []

    def sip_notify_by_ip(self, *args, **kwargs):
        self.sent.append(("ip", isInIOThread(), *args))

    def sip_notify_by_peer(self, *args, **kwargs):
        self.sent.append(("peer", isInIOThread(), *args))


async def registered(function):
    before = synchronize.get_sync_service()
    service = Service()
    synchronize.register_sync_service(service)
    try:
        await function()
        return service.sent
    finally:
        synchronize.unregister_sync_service()
        if before is not None:
            synchronize.register_sync_service(before)


@row("12.standard_sip_synchronize")
async def standard(plugin):
    async def send():
        device = {"ip": "10.0.0.1", "remote_state_sip_username": "abc"}
        await synchronize.standard_sip_synchronize(device)
        await synchronize.standard_sip_synchronize({"ip": "10.0.0.2"}, "check-sync;reboot=true")
        await synchronize.standard_sip_synchronize(
            {"ip": "10.0.0.3", "remote_state_sip_username": "ap12345678"},
            "service-control",
            extra_vars=["Content=a"],
        )

    assert await registered(send) == [
        ("peer", False, "abc", "check-sync", None),
        ("ip", False, "10.0.0.2", "check-sync;reboot=true", None),
        ("ip", False, "10.0.0.3", "service-control", ["Content=a"]),
    ]


@row("12.not_enough_information")
async def not_enough(plugin):
    async def send():
        try:
            await synchronize.standard_sip_synchronize({})
        except synchronize.SynchronizeException:
            return
        raise AssertionError

    assert await registered(send) == []


@row("12.service_object")
def service_object(plugin):
    sent = []

    class Client:
        def action(self, name, parameters):
            sent.append((name, parameters))

    service = synchronize.AsteriskAMISynchronizeService(Client())
    assert service.TYPE == "AsteriskAMI"
    service.sip_notify_by_peer("p", "check-sync", ["A=b"])
    service.sip_notify_by_ip("10.0.0.1", "check-sync")
    service.sip_notify("10.0.0.1", "check-sync", extra_vars=None)
    by_ip = {"Variable": ["Event=check-sync"], "URI": "sip:anonymous@10.0.0.1"}
    assert sent == [
        ("PJSIPNotify", {"Variable": ["Event=check-sync", "A=b"], "Endpoint": "p"}),
        ("PJSIPNotify", by_ip),
        ("PJSIPNotify", by_ip),
    ]
    assert issubclass(synchronize.AMIError, synchronize.SynchronizeException)
