"""What plugins are made of, and what runs them: host, templates, repository, file services."""
