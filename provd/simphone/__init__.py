"""A simulated phone: plays the boot of a vendor and model against a provisioning server."""
