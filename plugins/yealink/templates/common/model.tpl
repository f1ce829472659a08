#!version:1.0.0.1
{% include "common/settings.tpl" %}
{% include "custom_common.tpl" ignore missing %}
