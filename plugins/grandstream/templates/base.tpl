<?xml version="1.0" encoding="UTF-8"?>
{# An administrator's template may replace the block, or fill "custom" with more settings:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
<gs_provision version="1">
<mac>{{ phone.mac }}</mac>
<config version="{{ 2 if is_named else 1 }}">
{% block settings %}
{% for name, value in settings %}
{% if is_named %}
<item name="{{ name }}">{{ value }}</item>
{% else %}
<{{ name }}>{{ value }}</{{ name }}>
{% endif %}
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
</config>
</gs_provision>
