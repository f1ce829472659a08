<?xml version="1.0" encoding="UTF-8"?>
<phonebooks>
<contacts group_name="Default" editable="0">
{% for contact in contacts %}
<contact first_name="{{ contact.label }}" last_name=""{% if contact.watched %} subscribe_to="{{ contact.watched }}"{% endif %}>
<numbers>
<number dial="{{ contact.number }}" label="Extension" primary="1"/>
</numbers>
</contact>
{% endfor %}
</contacts>
</phonebooks>
