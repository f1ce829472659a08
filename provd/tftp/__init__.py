"""The TFTP server."""
