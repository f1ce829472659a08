{# An administrator's template may replace any block, or fill "custom" with more elements:
   {% extends "base.tpl" %}{% block custom %}...{% endblock %} #}
{% extends layout %}
