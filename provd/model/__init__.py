"""Values and rules of the trade: addresses, devices, configs, raw configs, time zones. No I/O."""
