"""URLs of the directory server in a raw config (contract: plugin API §8)."""

from provd.plugin.phonebook import add_xivo_phonebook_url, add_xivo_phonebook_url_from_format

__all__ = ["add_xivo_phonebook_url", "add_xivo_phonebook_url_from_format"]
