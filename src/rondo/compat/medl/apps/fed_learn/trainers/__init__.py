"""The trainers that Clara Train brought along for federated learning."""
