"""What containers need beyond the processes themselves: secrets, certificates, settings of brokers and store."""
