{% if language %}
<userLocale>
<name>i18n/{{ language.name }}</name>
<langCode>{{ language.code }}</langCode>
</userLocale>
<networkLocale>i18n/{{ language.network }}</networkLocale>
{% endif %}
