"""Sites made of a program: the build in a jail under Node, the pages around it, and what they load."""
