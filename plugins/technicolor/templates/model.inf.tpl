[application]
{% if images %}
fwurl={{ base_url }}/firmware/{{ model.name }}/{{ images[0] }}
dspurl={{ base_url }}/firmware/{{ model.name }}/{{ images[1] }}
booturl={{ base_url }}/firmware/{{ model.name }}/{{ images[2] }}
{% endif %}

[config]
config={{ base_url }}/
