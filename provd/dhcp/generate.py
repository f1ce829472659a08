"""Configuration of DHCP servers: which phone gets which options, and a hook for their leases.

Phones that match two rules get, of each option, that of the first rule. So dhcpd and Kea, where the
first class wins, have the rules in their order, and dnsmasq, where the last line wins, in reverse.
Options are sent whether a phone asks for them or not, as some phones forget to.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import attrs

from provd.dhcp.rules import ADDRESS_OPTIONS, Rule
from provd.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Server = Literal["dhcpd", "kea", "dnsmasq"]

# Nothing that means something to a server, or to the format of values.
_BASE_URL = re.compile(r"https?://[A-Za-z0-9._:-]+(/[A-Za-z0-9$._~-]+)*/?")
_PATH = re.compile(r"(/[A-Za-z0-9._+-]+)+")

# What the servers know no name or type of.
_KEA_UNKNOWN = {150: "ipv4-address", 160: "string", 161: "string", 242: "string"}
_KEA_HOOKS = "/usr/lib/x86_64-linux-gnu/kea/hooks"
# dhcpd knows these by name; all others are declared.
_DHCPD_NAMES = {
    6: "domain-name-servers",
    42: "ntp-servers",
    43: "vendor-encapsulated-options",
    66: "tftp-server-name",
    67: "bootfile-name",
}
_PROTOCOL_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class Network:
    """What to lease; without it only what concerns phones is written."""

    subnet: ipaddress.IPv4Network
    first: ipaddress.IPv4Address
    last: ipaddress.IPv4Address
    router: ipaddress.IPv4Address | None = None

    @classmethod
    def parse(cls, subnet: str, addresses: str, router: str | None = None) -> Network:
        """Return the network `10.0.0.0/24` with leases `10.0.0.10-10.0.0.99`; InvalidParameter."""
        try:
            network = ipaddress.IPv4Network(subnet)
            first, last = map(ipaddress.IPv4Address, addresses.split("-"))
            gateway = None if router is None else ipaddress.IPv4Address(router)
        except ValueError as exc:
            raise InvalidParameter(
                f"a subnet is such as 10.0.0.0/24, a range 10.0.0.10-10.0.0.99: {exc}"
            ) from exc
        if first > last or first not in network or last not in network:
            raise InvalidParameter(f"the range {addresses} does not lie in {subnet}")
        if gateway is not None and gateway not in network:
            raise InvalidParameter(f"the router {router} does not lie in {subnet}")
        return cls(network, first, last, gateway)


@attrs.frozen
class Site:
    """What the values of options are made of, and what the server is told besides."""

    base_url: str = attrs.field()
    """Where phones find the daemon; a slash at the end is dropped."""
    tftp: str = attrs.field()
    dns: str | None = attrs.field(default=None)
    network: Network | None = None
    lease_seconds: int = 86400
    hook: str | None = attrs.field(default=None)
    """The program to run for each lease."""
    socket: str | None = attrs.field(default=None)
    """Told to the hook on its command line, which only dhcpd can."""
    kea_hooks_dir: str = attrs.field(default=_KEA_HOOKS)

    @base_url.validator
    def _check_base_url(self, _attribute: Any, value: str) -> None:
        try:
            port_is_sound = urlsplit(value).port != 0
        except ValueError:
            port_is_sound = False
        if not _BASE_URL.fullmatch(value) or not port_is_sound:
            raise InvalidParameter(f"{value!r} is not a URL such as http://10.0.0.1:8667")

    @tftp.validator
    @dns.validator
    def _check_address(self, attribute: Any, value: str | None) -> None:
        try:
            if value is not None:
                ipaddress.IPv4Address(value)
        except ValueError:
            raise InvalidParameter(f"{attribute.name}: {value!r} is not an IPv4 address") from None

    @hook.validator
    @socket.validator
    @kea_hooks_dir.validator
    def _check_path(self, attribute: Any, value: str | None) -> None:
        if value is not None and not _PATH.fullmatch(value):
            raise InvalidParameter(f"{attribute.name}: {value!r} is not a plain absolute path")

    def value(self, template: str) -> str:
        """Return the value of an option."""
        parts = urlsplit(self.base_url)
        return template.format(
            base_url=self.base_url.rstrip("/"),
            host=parts.hostname,
            port=parts.port or _PROTOCOL_PORTS[parts.scheme],
            tftp=self.tftp,
            dns=self.dns or self.tftp,
        )


def generate(server: Server, rules: Sequence[Rule], site: Site) -> str:
    """Return the configuration of a server; InvalidParameter where it cannot do what is asked."""
    if server == "dhcpd":
        return "\n".join(_dhcpd(rules, site)) + "\n"
    if site.hook is not None and site.socket is not None:
        raise InvalidParameter(
            f"{server} cannot tell its hook of a socket; `provd-dhcp hook --socket` makes a hook "
            "that knows it"
        )
    if server == "dnsmasq":
        return "\n".join(_dnsmasq(rules, site)) + "\n"
    return json.dumps(_kea(rules, site), indent=2) + "\n"


def _plain_options(rule: Rule) -> Iterator[tuple[int, str]]:
    """Give code and value of what is neither a sub-option nor a header field."""
    for key, value in rule.options.items():
        if key.isdigit():
            yield int(key), value


def _sub_options(rule: Rule) -> Iterator[tuple[int, str]]:
    """Give code and value of the sub-options of option 43."""
    for key, value in rule.options.items():
        if key.startswith("43."):
            yield int(key[3:]), value


def _either(conditions: Iterable[str]) -> str:
    return " or ".join(conditions)


# ISC dhcpd

_DHCPD_CLASS = "option vendor-class-identifier"


def _dhcpd_text(text: str) -> str:
    return '"{}"'.format(text.replace("\0", "\\x00"))


def _dhcpd_vendor_class(match: str, text: str) -> Iterator[str]:
    for form in (text.rstrip("\0"), text) if text.endswith("\0") else (text,):
        value = {
            "exact": _DHCPD_CLASS,
            "prefix": f"substring({_DHCPD_CLASS}, 0, {len(form)})",
            "suffix": f"suffix({_DHCPD_CLASS}, {len(form)})",
            "third_byte": f"substring({_DHCPD_CLASS}, 2, {len(form)})",
        }[match]
        yield f"{value} = {_dhcpd_text(form)}"


def _dhcpd_conditions(rule: Rule) -> Iterator[str]:
    for match, text in rule.vendor_classes():
        yield from _dhcpd_vendor_class(match, text)
    for text in rule.user_class:
        yield f"option user-class = {_dhcpd_text(text)}"
        # RFC 3004 puts the length in front.
        yield f"substring(option user-class, 1, {len(text)}) = {_dhcpd_text(text)}"
    ouis = [f"substring(hardware, 1, 3) = {oui}" for oui in rule.ouis]
    if not rule.ouis_unless:
        yield from ouis
    elif "" in rule.ouis_unless:
        yield f"(({_either(ouis)}) and not exists vendor-class-identifier)"
    else:
        others = (_dhcpd_vendor_class("prefix", text) for text in rule.ouis_unless)
        unless = _either(condition for pair in others for condition in pair)
        yield (f"(({_either(ouis)}) and (not exists vendor-class-identifier or not ({unless})))")


def _dhcpd(rules: Sequence[Rule], site: Site) -> Iterator[str]:
    yield "# Made by provd-dhcp: what phones are told. Changes by hand are lost."
    codes = {code for rule in rules for code, _ in _plain_options(rule)}
    for code in sorted(codes - _DHCPD_NAMES.keys()):
        kind = "array of ip-address" if str(code) in ADDRESS_OPTIONS else "text"
        yield f"option provd-{code} code {code} = {kind};"
    for rule in rules:
        yield from _dhcpd_rule(rule, site)
    if site.hook is not None:
        yield from _dhcpd_hook(site.hook, site.socket)
    if site.network is not None:
        network = site.network
        subnet = network.subnet
        yield ""
        yield f"subnet {subnet.network_address} netmask {subnet.netmask} {{"
        yield f"  range {network.first} {network.last};"
        yield f"  default-lease-time {site.lease_seconds};"
        yield f"  max-lease-time {site.lease_seconds};"
        if network.router is not None:
            yield f"  option routers {network.router};"
        if site.dns is not None:
            yield f"  option domain-name-servers {site.dns};"
        yield "}"


def _dhcpd_rule(rule: Rule, site: Site) -> Iterator[str]:
    space = f"provd-{rule.name}"
    sub_options = list(_sub_options(rule))
    yield ""
    if sub_options:
        yield f"option space {space};"
        for code, value in sub_options:
            kind = "string" if value.startswith("0x") else "text"
            yield f"option {space}.o{code} code {code} = {kind};"
    yield f'class "{space}" {{'
    conditions = list(_dhcpd_conditions(rule))
    for index, condition in enumerate(conditions):
        begin = "  match if" if index == 0 else "    or"
        yield f"{begin} {condition}{';' if index == len(conditions) - 1 else ''}"
    sent = []
    for code, template in _plain_options(rule):
        value = site.value(template)
        shown = value if str(code) in ADDRESS_OPTIONS else _dhcpd_text(value)
        yield f"  option {_DHCPD_NAMES.get(code, f'provd-{code}')} {shown};"
        sent.append(code)
    if sub_options:
        yield f"  vendor-option-space {space};"
        for code, template in sub_options:
            raw = template.startswith("0x")
            shown = (
                bytes.fromhex(template[2:]).hex(":") if raw else _dhcpd_text(site.value(template))
            )
            yield f"  option {space}.o{code} {shown};"
        sent.append(43)
    if "next-server" in rule.options:
        yield f"  next-server {site.value(rule.options['next-server'])};"
    if "boot-file" in rule.options:
        yield f"  filename {_dhcpd_text(site.value(rule.options['boot-file']))};"
    if sent:
        # Sent even where the phone does not ask for it.
        asked = "option dhcp-parameter-request-list"
        codes = ":".join(format(code, "02x") for code in sent)
        yield "  if exists dhcp-parameter-request-list {"
        yield f"    {asked} = concat({asked}, {codes});"
        yield "  }"
    yield "}"


def _dhcpd_hook(hook: str, path: str | None) -> Iterator[str]:
    program = [hook] if path is None else [hook, "--socket", path]
    command = ", ".join(f'"{part}"' for part in program)
    ip = 'binary-to-ascii(10, 8, ".", leased-address)'
    yield ""
    yield "on commit {"
    yield f'  execute({command}, "commit", {ip},'
    yield '    binary-to-ascii(16, 8, ":", substring(hardware, 1, 6)),'
    for code, name in ((60, "vendor-class-identifier"), (77, "user-class"), (12, "host-name")):
        text = f'concat("{code:03d}", binary-to-ascii(16, 8, ".", option {name}))'
        yield f'    pick-first-value({text}, ""){");" if code == 12 else ","}'
    yield "}"
    for event in ("expiry", "release"):
        yield f"on {event} {{"
        yield f'  execute({command}, "{event}", {ip});'
        yield "}"


# Kea


def _kea_text(text: str) -> str:
    return f"0x{text.encode().hex()}" if "'" in text else f"'{text}'"


def _kea_vendor_class(match: str, text: str) -> str:
    # Kea drops the NUL that some phones put at the end.
    form = text.rstrip("\0")
    value = {
        "exact": "option[60].hex",
        "prefix": f"substring(option[60].hex,0,{len(form)})",
        "suffix": f"substring(option[60].hex,-{len(form)},{len(form)})",
        "third_byte": f"substring(option[60].hex,2,{len(form)})",
    }[match]
    return f"{value} == {_kea_text(form)}"


def _kea_test(rule: Rule) -> str:
    conditions = [_kea_vendor_class(match, text) for match, text in rule.vendor_classes()]
    for text in rule.user_class:
        conditions.append(f"option[77].hex == {_kea_text(text)}")
        conditions.append(f"substring(option[77].hex,1,all) == {_kea_text(text)}")
    ouis = [f"substring(pkt4.mac,0,3) == 0x{oui.replace(':', '')}" for oui in rule.ouis]
    if not rule.ouis_unless:
        conditions += ouis
    elif "" in rule.ouis_unless:
        conditions.append(f"(({_either(ouis)}) and not option[60].exists)")
    else:
        unless = _either(_kea_vendor_class("prefix", text) for text in rule.ouis_unless)
        conditions.append(f"(({_either(ouis)}) and not ({unless}))")
    return _either(conditions)


def _kea_data(code: int, value: str, **more: Any) -> dict[str, Any]:
    if value.startswith("0x"):
        return {"code": code, "csv-format": False, "data": value[2:], **more}
    # A comma separates the fields of an option.
    return {"code": code, "data": value.replace(",", "\\,"), **more}


def _kea_options(rule: Rule, site: Site) -> Iterator[dict[str, Any]]:
    for code, template in _plain_options(rule):
        value = site.value(template)
        if code == 159:
            # Predefined as numbers, and only classes may define 43 and private options anew.
            value = f"0x{value.encode().hex()}"
        yield _kea_data(code, value, **{"always-send": True})
    sub_options = list(_sub_options(rule))
    if sub_options:
        yield {"code": 43, "always-send": True}
    for code, template in sub_options:
        value = template if template.startswith("0x") else site.value(template)
        yield _kea_data(code, value, space=f"provd-{rule.name}", **{"always-send": True})


def _kea_class(rule: Rule, site: Site) -> dict[str, Any]:
    made: dict[str, Any] = {"name": f"provd-{rule.name}", "test": _kea_test(rule)}
    forty_three = {"name": "vendor-encapsulated-options", "code": 43}
    if any(True for _ in _sub_options(rule)):
        space = f"provd-{rule.name}"
        made["option-def"] = [{**forty_three, "type": "empty", "encapsulate": space}]
    elif "43" in rule.options:
        made["option-def"] = [{**forty_three, "type": "string"}]
    if options := list(_kea_options(rule, site)):
        made["option-data"] = options
    if "next-server" in rule.options:
        made["next-server"] = site.value(rule.options["next-server"])
    if "boot-file" in rule.options:
        made["boot-file-name"] = site.value(rule.options["boot-file"])
    return made


_KEA_ORDER = ("exact", "third_byte", "suffix", "prefix")


def kea_vendor_classes(rules: Iterable[Rule], lease_seconds: int) -> dict[int, tuple[str, str]]:
    """Return lease time in seconds → vendor class and how it is compared, the exact ones first.

    Kea tells its hook no option of a phone, but the lease time, which a class may set. So each
    vendor class gets its own, a few seconds longer than that of others.
    """
    known = {pair for rule in rules for pair in rule.vendor_classes()}
    ordered = sorted(known, key=lambda pair: (_KEA_ORDER.index(pair[0]), -len(pair[1]), pair[1]))
    return {
        lease_seconds + index: (match, text) for index, (match, text) in enumerate(ordered, start=1)
    }


def _kea(rules: Sequence[Rule], site: Site) -> dict[str, Any]:
    codes = {code for rule in rules for code, _ in _plain_options(rule)}
    definitions: list[dict[str, Any]] = []
    for code in sorted(codes & _KEA_UNKNOWN.keys()):
        kind = _KEA_UNKNOWN[code]
        more = {"array": True} if kind == "ipv4-address" else {}
        definitions.append({"name": f"provd-{code}", "code": code, "type": kind, **more})
    for rule in rules:
        for code, value in _sub_options(rule):
            definitions.append(
                {
                    "name": f"o{code}",
                    "code": code,
                    "space": f"provd-{rule.name}",
                    "type": "binary" if value.startswith("0x") else "string",
                }
            )
    server: dict[str, Any] = {
        "valid-lifetime": site.lease_seconds,
        "option-def": definitions,
        "client-classes": [_kea_class(rule, site) for rule in rules],
    }
    if site.hook is not None:
        server["client-classes"] += (
            {
                "name": f"provd-class-{seconds - site.lease_seconds}",
                "test": _kea_vendor_class(match, text),
                "valid-lifetime": seconds,
            }
            for seconds, (match, text) in kea_vendor_classes(rules, site.lease_seconds).items()
        )
        server["hooks-libraries"] = [
            {
                "library": f"{site.kea_hooks_dir}/libdhcp_run_script.so",
                "parameters": {"name": site.hook, "sync": False},
            }
        ]
    if site.network is not None:
        network = site.network
        options = []
        if network.router is not None:
            options.append({"name": "routers", "data": str(network.router)})
        if site.dns is not None:
            options.append({"name": "domain-name-servers", "data": site.dns})
        server["interfaces-config"] = {"interfaces": ["*"]}
        server["lease-database"] = {"type": "memfile"}
        server["subnet4"] = [
            {
                "id": 1,
                "subnet": str(network.subnet),
                "pools": [{"pool": f"{network.first} - {network.last}"}],
                "option-data": options,
            }
        ]
    return {"Dhcp4": server}


# dnsmasq


def _dnsmasq_bytes(text: str) -> str:
    return text.rstrip("\0").encode().hex(":")


def _dnsmasq_rule(rule: Rule, site: Site) -> Iterator[str]:
    tag = f"provd-{rule.name}"
    for number, (match, text) in enumerate(rule.vendor_classes(), start=1):
        if match == "exact":
            # What is compared may go on, unless it is refused as longer: by one byte, or by two
            # where the first may be a NUL.
            one, start = f"{tag}-{number}", _dnsmasq_bytes(text)
            yield f"dhcp-match=set:{one},60,{start}"
            yield f"dhcp-match=set:{one}-longer,60,{start}:*{':*' if text.endswith(chr(0)) else ''}"
            yield f"tag-if=set:{tag},tag:{one},tag:!{one}-longer"
        elif match == "prefix":
            yield f"dhcp-match=set:{tag},60,{_dnsmasq_bytes(text)}"
        else:
            # Compared anywhere in the vendor class: there is no way to say at its end.
            yield f"dhcp-vendorclass=set:{tag},{text.rstrip(chr(0))}"
    for text in rule.user_class:
        yield f"dhcp-userclass=set:{tag},{text}"
    oui_tag = f"{tag}-mac" if rule.ouis_unless else tag
    for oui in rule.ouis:
        yield f"dhcp-mac=set:{oui_tag},{oui}:*:*:*"
    if "" in rule.ouis_unless:
        yield f"tag-if=set:{tag},tag:{oui_tag},tag:!provd-any-class"
    elif rule.ouis_unless:
        for text in rule.ouis_unless:
            yield f"dhcp-match=set:{tag}-not,60,{_dnsmasq_bytes(text)}"
        yield f"tag-if=set:{tag},tag:{oui_tag},tag:!{tag}-not"
    for code, template in _plain_options(rule):
        value = site.value(template)
        shown = value if str(code) in ADDRESS_OPTIONS else f'"{value}"'
        yield f"dhcp-option-force=tag:{tag},{code},{shown}"
    for code, template in reversed(list(_sub_options(rule))):
        raw = template.startswith("0x")
        shown = bytes.fromhex(template[2:]).hex(":") if raw else f'"{site.value(template)}"'
        if raw and len(template) == 4:
            shown = f"{int(template, 16)}b"  # a single byte in digits would be a number
        yield f"dhcp-option-force=tag:{tag},encap:43,{code},{shown}"
    if "next-server" in rule.options or "boot-file" in rule.options:
        name = site.value(rule.options.get("boot-file", ""))
        yield f"dhcp-boot=tag:{tag},{name},,{site.value(rule.options.get('next-server', '{tftp}'))}"


def _dnsmasq(rules: Sequence[Rule], site: Site) -> Iterator[str]:
    yield "# Made by provd-dhcp: what phones are told. Changes by hand are lost."
    if any("" in rule.ouis_unless for rule in rules):
        yield "dhcp-match=set:provd-any-class,60"
    for rule in reversed(rules):
        yield ""
        yield from _dnsmasq_rule(rule, site)
    if site.hook is not None:
        yield ""
        yield f"dhcp-script={site.hook}"
        yield "script-on-renewal"
    if site.network is not None:
        network = site.network
        yield ""
        leases = f"{network.first},{network.last},{network.subnet.netmask}"
        yield f"dhcp-range={leases},{site.lease_seconds}"
        if network.router is not None:
            yield f"dhcp-option=3,{network.router}"
        if site.dns is not None:
            yield f"dhcp-option=6,{site.dns}"
