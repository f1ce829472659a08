"""DHCP: events that servers tell of, and what servers are to hand out."""
