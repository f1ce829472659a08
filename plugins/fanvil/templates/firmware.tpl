Version={{ firmware_version }}
Firmware={{ url }}
BuildTime={{ built }}
Info=TXT|XML
