"""Yealink's settings: `key = value` lines."""

OPAQUE = ("directory_setting.xml",)
REPEATABLE = {
    "static.security.user_password",
    "security.user_password",
    "static.trusted_certificates.url",
    "trusted_certificates.url",
}


def parse(content):
    """Return the (key, value) pairs of a file, in order, as the phone takes them.

    Any kind of line end counts, so that none can be smuggled in by a value.
    """
    text = content.decode("utf-8")
    if text.startswith("-----BEGIN"):
        return [("certificate", text)]
    first, *lines = text.splitlines()
    assert first == "#!version:1.0.0.1"
    pairs = []
    for line in lines:
        if line.strip() and not line.startswith("#"):
            key, equals, value = line.partition(" = ")
            assert equals, line
            assert key
            assert not set(key) - set("abcdefghijklmnopqrstuvwxyz0123456789_."), line
            assert value == value.strip() != "", line
            pairs.append((key, value))
    return pairs
