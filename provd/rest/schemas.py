"""JSON schemas of the bodies that the API takes and gives, for its own description.

They describe, and refuse nothing: the rules of documents are in `model`. `{"$ref": name}` stands
for one of SCHEMAS, and `nullable` is that of OpenAPI 3.0; the description knows how to put both.
"""

from __future__ import annotations

from typing import Any

from provd.model.parameters import schemas as raw_config_schemas

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": "string", "nullable": True}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
BOOLEAN_WORD: Schema = {
    "description": "A boolean; 0, 1 and words such as yes and no stand for one. Kept as it is."
}
ANY: Schema = {"description": "Any JSON; it is not looked at."}


def ref(name: str) -> Schema:
    """Return what stands for the named schema."""
    return {"$ref": name}


def list_of(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def envelope(key: str, schema: Schema) -> Schema:
    """Return the schema of an object with one member that must be there."""
    return {"type": "object", "required": [key], "properties": {key: schema}}


def with_members(schema: Schema, **members: Schema) -> Schema:
    """Return the schema of an object with further members that may be there."""
    return {**schema, "properties": {**schema["properties"], **members}}


def listing(key: str, schema: Schema) -> Schema:
    """Return the schema of a listing: documents, and how many match where a page was asked for."""
    count: Schema = {"type": "integer", "description": "How many match, on all pages."}
    return {
        "type": "object",
        "required": [key],
        "properties": {key: list_of(schema), "total": count},
    }


def _map_of(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


ID = envelope("id", TEXT)
ID_AND_VERSION = with_members(ID, version=TEXT)
LINKS = envelope("links", list_of(ref("Link")))
PACKAGES = envelope("pkgs", _map_of(ref("Package")))
PARAMETERS = envelope("params", list_of(ref("Parameter")))
PARAMETER = envelope("param", ref("Value"))
OPERATION: Schema = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": TEXT,
        "reason": {**TEXT, "description": "Why it failed; only there if it did."},
        "details": {**OBJECT, "description": "What came of each part, where it has many."},
    },
}

SCHEMAS: dict[str, Schema] = {
    "Link": {
        "type": "object",
        "required": ["rel", "href"],
        "properties": {"rel": TEXT, "href": TEXT},
    },
    "Device": {
        "type": "object",
        "description": "A phone. Members that are not listed are kept as they are.",
        "properties": {
            "id": {
                **TEXT_OR_NULL,
                "description": "Made if it is absent; of a PUT the one in the path counts.",
            },
            "mac": {
                **TEXT_OR_NULL,
                "pattern": "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$",
                "example": "00:15:65:12:34:56",
            },
            "ip": {**TEXT_OR_NULL, "format": "ipv4", "example": "192.0.2.20"},
            **dict.fromkeys(
                (
                    "sn",
                    "uuid",
                    "vendor",
                    "model",
                    "version",
                    "plugin",
                    "config",
                    "description",
                    "added",
                    "remote_state_sip_username",
                ),
                TEXT_OR_NULL,
            ),
            "options": {"type": "object", "nullable": True},
            **{
                key: {"type": kind, "readOnly": True}
                for key, kind in (
                    ("configured", "boolean"),
                    ("is_new", "boolean"),
                    ("tenant_uuid", "string"),
                )
            },
        },
    },
    "Config": {
        "type": "object",
        "description": "What phones are configured with. Members that are not listed are kept.",
        "required": ["parent_ids", "raw_config"],
        "properties": {
            "id": {
                **TEXT_OR_NULL,
                "description": "Made if it is absent; of a PUT the one in the path counts.",
            },
            "parent_ids": list_of(TEXT),
            "raw_config": ref("RawConfig"),
            "role": TEXT_OR_NULL,
            "transient": BOOLEAN_WORD,
            "deletable": BOOLEAN_WORD,
            "X_type": {"description": "A text; device and registrar mean something to a Wazo PBX."},
        },
    },
    "HistoryEntry": {
        "type": "object",
        "description": "A request of a phone, or (way, outcome, seconds) a synchronisation.",
        "required": ["time", "event"],
        "properties": {
            "time": {"type": "string", "format": "date-time"},
            "event": {"type": "string", "enum": ["request", "synchronize"]},
            "protocol": {"type": "string", "enum": ["http", "tftp", "dhcp"]},
            **dict.fromkeys(("peer", "file", "status", "way", "outcome"), TEXT),
            "bytes": {"type": "integer"},
            "milliseconds": {"type": "number"},
            "found_by": {"description": "What told which device it is."},
            "told": {"type": "object", "description": "What the request told about the phone."},
            "plugin": {"description": "The plugin that served it; null for none."},
            "refused": {"description": "Why no file was served; null if one was."},
            "seconds": {"description": "From the message to the phone's fetch; null for none."},
        },
    },
    "Job": {
        "type": "object",
        "required": ["id", "name", "status"],
        "properties": {
            "id": TEXT,
            "name": TEXT,
            "status": {**TEXT, "description": "As of an operation: progress;120/10000"},
        },
    },
    "Resynchronize": {
        "type": "object",
        "description": "Which devices, all of it together; a config stands for those below, too.",
        "properties": {
            **dict.fromkeys(("plugin", "model", "config", "tenant_uuid"), TEXT),
            "selector": {**OBJECT, "description": "As q of a listing; {} for all devices."},
            "per_second": {"type": "number", "minimum": 0.01, "maximum": 1000, "default": 10},
            "max_failures": {"type": "number", "minimum": 0, "maximum": 1000000, "default": 20},
        },
    },
    "Provision": {
        "type": "object",
        "description": "A code, and one of the others to tell the device.",
        "required": ["code"],
        "properties": {
            "code": {**TEXT, "description": "X_provisioning_code of a config; autoprov: none."},
            **dict.fromkeys(("id", "mac", "ip"), TEXT),
        },
    },
    "Duplicate": {
        "type": "object",
        "required": ["kind", "value", "owner", "others"],
        "properties": {
            "kind": {"type": "string", "enum": ["mac", "sn", "uuid"]},
            "value": TEXT,
            "owner": {"description": "Id of the device that is served; null if it is not seen."},
            "others": {"type": "array", "items": TEXT},
        },
    },
    "Provisioned": {
        "type": "object",
        "required": ["device", "config", "synchronize"],
        "properties": {
            "device": TEXT,
            "config": TEXT,
            "synchronize": {**TEXT, "description": "Path of the operation."},
        },
    },
    "Preview": {
        "type": "object",
        "required": ["configured", "files"],
        "properties": {
            "plugin": {"description": "The device's plugin; null for none."},
            "configured": {"type": "boolean"},
            "error": {"description": "Why nothing would be rendered; null otherwise."},
            "masked": {"type": "boolean", "description": "Whether passwords are masked."},
            "files": list_of(
                {
                    "type": "object",
                    "required": ["name", "size"],
                    "properties": {
                        "name": TEXT,
                        "size": {"type": "integer"},
                        "text": TEXT,
                        "base64": {**TEXT, "description": "Instead of text, if it is none."},
                    },
                }
            ),
        },
    },
    **raw_config_schemas(),
    "DhcpInfo": {
        "type": "object",
        "required": ["op", "ip"],
        "properties": {
            "op": {"type": "string", "enum": ["commit", "expiry", "release"]},
            "ip": TEXT,
            "mac": TEXT,
            "options": {
                **list_of(TEXT),
                "description": "Three digits of a code, then bytes in hexadecimal: 06041.62",
            },
        },
    },
    "Package": {
        "type": "object",
        "description": "A plugin or a package of one. Other members may follow.",
        "properties": {
            "version": TEXT,
            "description": TEXT,
            "dsize": {"type": "integer"},
            "sha1sum": TEXT,
            "capabilities": OBJECT,
        },
    },
    "Plugin": envelope("links", list_of(ref("Link"))),
    "Value": {
        "type": "object",
        "required": ["value"],
        "properties": {"value": {"description": "Null where nothing is set."}},
    },
    "Parameter": {
        "type": "object",
        "properties": {
            "id": TEXT,
            "description": TEXT,
            "value": {"description": "Null where nothing is set."},
            "links": list_of(ref("Link")),
        },
    },
}
PLUGINS = envelope("plugins", _map_of(ref("Plugin")))
