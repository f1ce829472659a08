<?xml version="1.0" encoding="UTF-8"?>
{# The server knows the numbers: whatever is dialled goes there after a pause. #}
<DIALTEMPLATE>
<TEMPLATE MATCH="*" Timeout="5" User="Phone"/>
</DIALTEMPLATE>
