"""What runs inside the jail beside a Python program: never imported by the host, which mounts this folder.

Inside it is the package ``inside``, below ``/sandbox``; it may use nothing but the standard library and the warm
packages, and each of those only where it is needed, for time to the first frame counts.
"""
