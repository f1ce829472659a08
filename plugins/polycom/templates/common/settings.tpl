<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
{# What every phone gets. check-sync makes it look for changes, and start anew if there are any. #}
<polycomConfig
voIpProt.SIP.specialEvent.checkSync.alwaysReboot="0"
voIpProt.SIP.alertInfo.1.value="Auto Answer"
voIpProt.SIP.alertInfo.1.class="autoAnswer"
prov.autoConfigUpload.enabled="0"
qos.ip.callControl.dscp="46"
qos.ip.rtp.dscp="46"
/>
