{# An administrator's template may replace any block, or fill "custom", with more settings:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% extends "voip.tpl" if is_voip else "sysconf.tpl" %}
