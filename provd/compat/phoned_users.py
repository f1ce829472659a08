"""URLs of user services in a raw config (contract: plugin API §8)."""

from provd.plugin.phonebook import add_wazo_phoned_user_service_url

__all__ = ["add_wazo_phoned_user_service_url"]
