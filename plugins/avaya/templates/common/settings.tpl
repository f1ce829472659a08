{% include "common/mode.tpl" %}
GET $MACADDR.cfg
