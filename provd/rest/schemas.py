"""JSON schemas of the bodies that the API takes and gives, for its own description.

They describe, and refuse nothing: the rules of documents are in `model`. `{"$ref": name}` stands
for one of SCHEMAS; the description knows where it puts those.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
OBJECT: Schema = {"type": "object"}
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


def _map_of(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


ID = envelope("id", TEXT)
LINKS = envelope("links", list_of(ref("Link")))
PACKAGES = envelope("pkgs", _map_of(ref("Package")))
PARAMETERS = envelope("params", list_of(ref("Parameter")))
PARAMETER = envelope("param", ref("Value"))

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
            **dict.fromkeys(
                (
                    "id",
                    "mac",
                    "ip",
                    "sn",
                    "uuid",
                    "vendor",
                    "model",
                    "version",
                    "plugin",
                    "config",
                    "description",
                ),
                TEXT,
            ),
            "options": OBJECT,
            **{
                key: {"type": kind, "readOnly": True}
                for key, kind in (
                    ("configured", "boolean"),
                    ("is_new", "boolean"),
                    ("tenant_uuid", "string"),
                    ("added", "string"),
                    ("remote_state_sip_username", "string"),
                )
            },
        },
    },
    "Config": {
        "type": "object",
        "description": "What phones are configured with. Members that are not listed are kept.",
        "required": ["parent_ids", "raw_config"],
        "properties": {
            "id": TEXT,
            "parent_ids": list_of(TEXT),
            "raw_config": ref("RawConfig"),
            "role": TEXT,
            "transient": {"type": "boolean"},
            "deletable": {"type": "boolean"},
            "X_type": TEXT,
        },
    },
    "RawConfig": {"type": "object", "description": "Parameters of phones, by name."},
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
