{# What every phone gets, in the common file of its model and in its own. #}
{{ static }}auto_provision.pnp_enable = 0
{# What users change on the phone wins over what we send. #}
{{ static }}auto_provision.custom.protect = 1
{# Load the new configuration on check-sync, and reboot only where the event asks for it. #}
sip.notify_reboot_enable = 0
{# 1: the phone heeds a NOTIFY from its SIP server alone, and provd sends those of its own. #}
sip.trust_ctrl = {{ 0 if sync_service == "sip" else 1 }}
features.direct_ip_call_enable = 0
features.show_action_uri_option = 0
transfer.dsskey_deal_type = 1
local_time.time_format = 1
local_time.date_format = 2
