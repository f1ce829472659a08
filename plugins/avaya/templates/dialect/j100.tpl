## {{ model.name }}
{% include "common/mode.tpl" %}
{% block settings %}
{% for name, value in settings %}
SET {{ name }} "{{ value }}"
{% endfor %}
{% for key in phone_keys %}
SET PHONEKEY "{{ key }}"
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
