{# What every phone gets. The first one must come first: the others are applied with it. #}
<auto_reboot_on_setting_change perm="R">on</auto_reboot_on_setting_change>
<pnp_config perm="R">off</pnp_config>
<provisioning_order perm="R">dhcp:stop redirection:stop</provisioning_order>
<update_policy perm="R">auto_update</update_policy>
<retry_after_failed_register perm="R">5:60</retry_after_failed_register>
<webserver_type perm="R">https</webserver_type>
<codec_tos perm="R">184</codec_tos>
<signaling_tos perm="R">184</signaling_tos>
{# With R nobody could ever enter the administrator's mode. #}
<admin_mode perm="RW">off</admin_mode>
