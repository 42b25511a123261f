"""The words that cross a wire: assets, signals, samples, events, commands; topics; Sparkplug B; line protocol."""
