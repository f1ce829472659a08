"""Who may use the REST API: local tokens, or the wazo-auth service."""
