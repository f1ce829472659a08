{# The part for the router of SPA112 and SPA122. #}
<router-configuration>
<Time_Setup>
{% if router_zone %}
<Time_Zone>{{ router_zone }}</Time_Zone>
{% endif %}
<Time_Server>{{ ntp }}</Time_Server>
</Time_Setup>
<WAN_VLAN_Setting>
<WAN_VLAN_Enable>{{ 1 if vlan else 0 }}</WAN_VLAN_Enable>
<WAN_VLAN_ID>{{ vlan.id if vlan else 1 }}</WAN_VLAN_ID>
</WAN_VLAN_Setting>
{% include "web_login.tpl" %}
</router-configuration>
