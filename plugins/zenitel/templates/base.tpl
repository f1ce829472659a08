{# An administrator's template may replace any block, or fill "custom", with more sections:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% block sip %}
[sip]
 nick_name={{ account.name if account }}
 sip_id={{ account.username if account }}
 sip_domain={{ account.servers.proxy.host if account }}
 sip_domain2={{ account.servers.backup_proxy.host if account and account.servers.backup_proxy }}
 auth_user={{ account.auth_username if account }}
 auth_pwd={{ account.password if account }}
{% endblock %}

{% block keys %}
[call]
{% for key in keys %}
 {{ key.name }}={{ key.value }}
{% endfor %}
{% for slot in free_slots %}
 {{ slot.name }}=
{% endfor %}
{% endblock %}
{% block general %}
{% if image.image_type and image.image_crc %}

[general]
 auto_update_image_type={{ image.image_type }}
 auto_update_image_crc={{ image.image_crc }}
{% endif %}
{% endblock %}
{% block custom %}
{% endblock %}
