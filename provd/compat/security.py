"""Lines for fail2ban, under the old name."""

from provd.logs import log_security as log_security_msg

__all__ = ["log_security_msg"]
