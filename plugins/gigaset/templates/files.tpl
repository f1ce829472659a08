<?xml version="1.0" encoding="utf-8"?>
<setting-files>
<file url="{{ base_url }}/{{ mac }}.xml"/>
</setting-files>
