Version={{ firmware_version }}
Firmware={{ firmware }}
BuildTime=
Info=TXT|XML
