"""Old package of what concerns devices and their configs."""
