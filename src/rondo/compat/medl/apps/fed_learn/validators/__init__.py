"""The validators that Clara Train brought along for federated learning."""
