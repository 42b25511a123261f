"""The physical plant: machines with physics, faults and a known truth, seen through real protocols."""
