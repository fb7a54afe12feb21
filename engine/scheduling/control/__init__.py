"""Parts of the optional HTTP face of the agents; `engine/scheduling/control_api.py` starts it."""
