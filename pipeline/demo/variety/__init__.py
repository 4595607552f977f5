"""Domain randomisation: places, crowds, looks, cameras and weather far more varied than the demo town's own.

Networks trained on such pictures learn objects, not the pavement of one town (Tobin et al. 2017, "Domain Randomization
for Transferring Deep Neural Networks from Simulation to the Real World"; Tremblay et al. 2018).
"""
