<?xml version="1.0" encoding="utf-8"?>
<firmware-settings>
{% if firmware %}
<firmware>{{ firmware }}</firmware>
{% endif %}
{% if module_firmware %}
<firmware_uxm>{{ module_firmware }}</firmware_uxm>
{% endif %}
</firmware-settings>
