"""Telling a phone to load its configuration again: by Asterisk's AMI, or by SIP itself."""
