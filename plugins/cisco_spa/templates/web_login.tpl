{% if admin %}
<Web_Login_Admin_Name>{{ admin.name }}</Web_Login_Admin_Name>
{% if admin.password %}
<Web_Login_Admin_Password>{{ admin.password }}</Web_Login_Admin_Password>
{% endif %}
{% endif %}
{% if user %}
<Web_Login_Guest_Name>{{ user.name }}</Web_Login_Guest_Name>
{% if user.password %}
<Web_Login_Guest_Password>{{ user.password }}</Web_Login_Guest_Password>
{% endif %}
{% endif %}
