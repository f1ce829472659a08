{% for key in keys %}
{{ key.name }}.type = {{ key.type }}
{{ key.name }}.line = {{ key.line }}
{{ key.name }}.value = {{ key.value }}
{{ key.name }}.label = {{ key.label }}
{{ key.name }}.extension = {{ key.pickup }}
{% if release < 80 %}
{{ key.name }}.pickup_value = {{ key.pickup }}
{% endif %}
{% endfor %}
{% filter for_each(free_slots|map(attribute='name')) %}
@.type = 0
@.value = %NULL%
@.label = %NULL%
{% endfilter %}
