{# An administrator's template may fill "custom" with more properties:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% block accounts %}
{% for number, properties in accounts.items() %}
{% set prefix = "net.java.sip.communicator.impl.protocol.sip.acc%d"|format(number) %}
{{ prefix }}=acc{{ number }}
{% for name, value in properties.items() %}
{{ prefix }}.{{ name }}={{ value }}
{% endfor %}
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
