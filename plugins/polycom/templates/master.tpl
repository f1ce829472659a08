<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
{# The phone puts its part number before the name of the software: 3111-48450-001.sip.ld. #}
<APPLICATION
APP_FILE_PATH="{{ firmware }}"
CONFIG_FILES="{{ config_files|join(", ") }}"
MISC_FILES=""
LOG_FILE_DIRECTORY=""
OVERRIDES_DIRECTORY=""
CONTACTS_DIRECTORY=""
LICENSE_DIRECTORY=""
/>
