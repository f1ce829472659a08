# Panasonic SIP Phone Standard Format File #
CFG_STANDARD_FILE_PATH="{{ raw.http_base_url|d("", true) }}/Panasonic/Config{MAC}.cfg"

