{# An administrator's template may fill "custom" with more properties:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% block accounts %}
{% for number, properties in accounts.items() %}
net.java.sip.communicator.impl.protocol.sip.acc{{ number }}=acc{{ number }}
{% for name, value in properties.items() %}
net.java.sip.communicator.impl.protocol.sip.acc{{ number }}.{{ name }}={{ value }}
{% endfor %}
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
