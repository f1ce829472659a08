{# An administrator's template may replace any block, or fill "custom":
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% extends "dialect/" ~ dialect ~ ".tpl" %}
