{# An administrator's template may fill "custom":
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% extends "dialect/" ~ dialect ~ ".tpl" %}
