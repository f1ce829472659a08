"""Forms of addresses and ids, and text or bytes (contract: plugin API §13)."""

from provd.model.addresses import (
    decode_bytes,
    decode_value,
    encode_bytes,
    format_mac,
    from_ip,
    from_mac,
    is_normed_ip,
    is_normed_mac,
    is_normed_uuid,
    norm_ip,
    norm_mac,
    norm_uuid,
    to_ip,
    to_mac,
)

__all__ = [
    "decode_bytes",
    "decode_value",
    "encode_bytes",
    "format_mac",
    "from_ip",
    "from_mac",
    "is_normed_ip",
    "is_normed_mac",
    "is_normed_uuid",
    "norm_ip",
    "norm_mac",
    "norm_uuid",
    "to_ip",
    "to_mac",
]
