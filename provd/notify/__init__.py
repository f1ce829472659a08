"""Asking a phone to load its configuration again."""
