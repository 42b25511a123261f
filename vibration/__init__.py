"""What a vibration says of a machine: pure functions of an array, its rate and the speed of the shaft.

Edge detectors make features of blocks with it, the cloud finds faults of bearings in them.
"""
