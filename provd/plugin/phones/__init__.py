"""What phones of all vendors have in common, for our own families of them.

A family is a directory of data (`family.toml`), templates, and a `format.py` with what is peculiar
to the vendor. Everything else is here: SIP accounts with their defaults (`sip`), function keys in
the slots of a model (`keys`), time zones in the forms that phones take (`zones`), typed values
(`values`), identification by tables (`match`, `index`), firmware packages (`packages`), and the
plugin that puts them together (`family`, `plugin`). docs/plugins.md shows a whole family.
"""
