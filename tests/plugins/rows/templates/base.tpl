base {{ model|d("none")|e }} {% include "common/part.tpl" %}
