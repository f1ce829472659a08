<?xml version="1.0" encoding="utf-8"?>
<setting-files>
{% if versions %}
<file url="{{ base_url }}/{{ phone.mac|upper }}-firmware.htm"/>
{% endif %}
<file url="{{ base_url }}/{{ phone.mac|upper }}.xml"/>
</setting-files>
