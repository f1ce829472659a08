<?xml version="1.0" encoding="utf-8"?>
<firmware-settings>
{% if versions %}
{# The base looks for MODEL/MODEL_v0740_b0104.fwu there, and for those of its handsets. #}
<firmware>{{ base_url }}</firmware>
{% for one in versions %}
{% if one.type is none %}
<fp_fwu_sw_version>{{ one.version }}</fp_fwu_sw_version>
<fp_fwu_branch_version>{{ one.branch }}</fp_fwu_branch_version>
{% else %}
<pp_fwu_sw_version type="{{ one.type }}">{{ one.version }}</pp_fwu_sw_version>
<pp_fwu_branch_version type="{{ one.type }}">{{ one.branch }}</pp_fwu_branch_version>
{% endif %}
{% endfor %}
{% endif %}
</firmware-settings>
