<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
{# For a phone that has no master file of its own yet. #}
<APPLICATION
APP_FILE_PATH=""
CONFIG_FILES="[PHONE_MAC_ADDRESS]-user.cfg, common.cfg"
MISC_FILES=""
LOG_FILE_DIRECTORY=""
OVERRIDES_DIRECTORY=""
CONTACTS_DIRECTORY=""
LICENSE_DIRECTORY=""
/>
