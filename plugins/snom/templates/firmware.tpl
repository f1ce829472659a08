<?xml version="1.0" encoding="utf-8"?>
<firmware-settings>
{% if firmware %}
<firmware>{{ firmware }}</firmware>
{% endif %}
</firmware-settings>
