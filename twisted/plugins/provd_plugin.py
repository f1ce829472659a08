"""Makes `twistd provd` and `twistd wazo-provd` known."""

from twisted.application.service import ServiceMaker

provd = ServiceMaker("provd", "provd.daemon", "Provision phones.", "provd")
wazo_provd = ServiceMaker(
    "wazo-provd", "provd.wazo_daemon", "Provision phones, as wazo-provd does.", "wazo-provd"
)
