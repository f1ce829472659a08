"""What a unit file names: `twistd --logger wazo_provd.main.twistd_logs`."""

from provd.logs import observer as twistd_logs

__all__ = ["twistd_logs"]
