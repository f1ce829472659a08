{# What every base gets. #}
<codec_tos>184</codec_tos>
<signaling_tos>184</signaling_tos>
<network_id_port>5060</network_id_port>
<auto_dect_register>on</auto_dect_register>
<ac_code>0000</ac_code>
