"""The TFTP server and what plugins answer its requests with (contract: plugin API §5.2)."""

from provd.compat.servers.tftp.service import (
    AbstractTFTPReadService,
    TFTPFileService,
    TFTPHookService,
    TFTPLogService,
    TFTPNullService,
    TFTPStringService,
)
from provd.tftp.server import TftpServer as TFTPProtocol

__all__ = [
    "AbstractTFTPReadService",
    "TFTPFileService",
    "TFTPHookService",
    "TFTPLogService",
    "TFTPNullService",
    "TFTPProtocol",
    "TFTPStringService",
]
