"""What a vendor plugin may import: the one public face of the plugin host.

    from provd.plugin.api import DeviceSupport, PhoneRequest, RenderedFile, VendorPlugin

docs/plugins.md shows a whole plugin. Plugins written for wazo-provd keep using `wazo_provd.*` and
`provd.*`, which give the same objects.
"""

from __future__ import annotations

from markupsafe import Markup

from provd.errors import InvalidDocument, RawConfigError, RawConfigParamError
from provd.model.addresses import (
    format_mac,
    is_normed_mac,
    is_normed_uuid,
    norm_mac,
    norm_uuid,
)
from provd.model.timezones import (
    TimezoneNotFoundError,
    get_timezone_info,
    week_start_on_monday,
)
from provd.plugin.base import (
    BasePgAssociator,
    DeviceSupport,
    Plugin,
    RequestType,
    StandardPlugin,
)
from provd.plugin.files import (
    HTTPNoListingFileService,
    TFTPFileService,
    TFTPNullService,
)
from provd.plugin.phonebook import (
    add_wazo_phoned_user_service_url,
    add_xivo_phonebook_url,
    add_xivo_phonebook_url_from_format,
)
from provd.plugin.phones.family import Family, Model, ServedFile
from provd.plugin.phones.keys import Key, Slot
from provd.plugin.phones.phone import Phone
from provd.plugin.phones.plugin import FamilyPlugin
from provd.plugin.phones.sip import Account, Server, Servers
from provd.plugin.phones.text import (
    escape_xml,
    is_line_safe,
    is_xml_safe,
    to_line_value,
    to_one_line,
)
from provd.plugin.phones.zones import Change, Zone, code_of, nearest_code_of
from provd.plugin.templates import TemplatePluginHelper
from provd.plugin.vendor import DeviceInfo, PhoneRequest, RenderedFile, VendorPlugin

__all__ = [
    "Account",
    "BasePgAssociator",
    "Change",
    "DeviceInfo",
    "DeviceSupport",
    "Family",
    "FamilyPlugin",
    "HTTPNoListingFileService",
    "InvalidDocument",
    "Key",
    "Markup",
    "Model",
    "Phone",
    "PhoneRequest",
    "Plugin",
    "RawConfigError",
    "RawConfigParamError",
    "RenderedFile",
    "RequestType",
    "ServedFile",
    "Server",
    "Servers",
    "Slot",
    "StandardPlugin",
    "TFTPFileService",
    "TFTPNullService",
    "TemplatePluginHelper",
    "TimezoneNotFoundError",
    "VendorPlugin",
    "Zone",
    "add_wazo_phoned_user_service_url",
    "add_xivo_phonebook_url",
    "add_xivo_phonebook_url_from_format",
    "code_of",
    "escape_xml",
    "format_mac",
    "get_timezone_info",
    "is_line_safe",
    "is_normed_mac",
    "is_normed_uuid",
    "is_xml_safe",
    "nearest_code_of",
    "norm_mac",
    "norm_uuid",
    "to_line_value",
    "to_one_line",
    "week_start_on_monday",
]
