<?xml version="1.0" encoding="UTF-8"?>
{# An administrator's template may replace a block, or fill "custom" with more settings:
   {% extends "base.tpl" %}{% block custom %}<P4200 para="Account1.DialPlan">{[x*]+}</P4200>{% endblock %} #}
<hl_provision version="1">
<config version="1">
{% block settings %}
{{ settings }}
{%- endblock %}
{% block behaviour %}
<P31 para="Account1.SipRegistration">1</P31>
<P81 para="Account1.UnregisterOnReboot">1</P81>
<P191 para="Account1.EnableCallFeatures">0</P191>
<P298 para="Account1.AnswerViaCallInfo">1</P298>
<P4200 para="Account1.DialPlan">{[x*]+}</P4200>
<P20053 para="Account1.SipSendMac">1</P20053>
{% endblock %}
{% block custom %}
{% endblock %}
{% include "custom.tpl" ignore missing %}
</config>
</hl_provision>
