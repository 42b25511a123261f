"""What is wrong with a machine, how sure, why, and what to do; pure but for routes, tables and the service.

The stages have the names of ISO 13374: acquisition, manipulation, detection (of states), assessment (of health),
prognosis, advice.
"""
