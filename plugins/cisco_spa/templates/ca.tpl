{% for certificate in certificates %}
{{ certificate }}
{% endfor %}
