"""Front end: FastAGI, by which Asterisk's dialplan asks to provision a phone."""
