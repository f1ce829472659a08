{% block settings %}
{% for name, value in settings %}
{{ name }} {{ value }}
{% endfor %}
{% endblock %}
{% block custom %}
{% endblock %}
