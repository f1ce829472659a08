[{% block body %}{% endblock %}]
