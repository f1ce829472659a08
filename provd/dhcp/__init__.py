"""DHCP events: what a DHCP server tells about the phones it serves."""
