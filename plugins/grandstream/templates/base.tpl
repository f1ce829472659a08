<?xml version="1.0" encoding="UTF-8"?>
{# An administrator's template may replace the block, or fill "custom" with more settings:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %}
   They are <item name="...">...</item> where `is_named`, else <P47>...</P47>. #}
<gs_provision version="1">
<mac>{{ phone.mac }}</mac>
<config version="{{ 2 if is_named else 1 }}">
{% block settings %}
{{ settings }}
{%- endblock %}
{% block custom %}
{% endblock %}
{% include "custom.tpl" ignore missing %}
</config>
</gs_provision>
