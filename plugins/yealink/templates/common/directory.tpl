<root_favorite_set>
<item id_name="localdirectory" display_name="Local Directory" priority="1" enable="1" />
<item id_name="history" display_name="History" priority="2" enable="1" />
<item id_name="remotedirectory" display_name="Remote Phone Book" priority="3" enable="1" />
</root_favorite_set>
