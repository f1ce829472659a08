"""`provd-admin`: what operators do with the state of a daemon from a shell."""
