<?xml version="1.0" encoding="UTF-8"?>
<flat-profile>
{% include "common.tpl" %}
<Profile_Rule_B>{{ raw.get("http_base_url") }}/$MA.xml</Profile_Rule_B>
<Profile_Rule_C></Profile_Rule_C>
</flat-profile>
