<?xml version="1.0" encoding="UTF-8"?>
<settings>
{# The phone's own file says where it finds its server. #}
<setting id="DeviceAutoUpgradeEnable" value="true"/>
</settings>
