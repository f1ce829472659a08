{% block settings %}
{% for name, settings in sections %}
[{{ name }}]
{% for key, value in settings %}
{{ key }}={{ value }}
{% endfor %}
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
