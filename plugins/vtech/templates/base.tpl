{# An administrator's template may replace a block, or fill "custom", with more settings:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% block settings %}
{% for key, value in settings %}
{{ key }} = {{ value }}
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
