"""Front end: events of the platform's message bus."""
