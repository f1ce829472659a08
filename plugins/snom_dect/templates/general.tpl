<?xml version="1.0" encoding="utf-8"?>
<settings>
<phone-settings>
{% include "common.tpl" %}
</phone-settings>
</settings>
