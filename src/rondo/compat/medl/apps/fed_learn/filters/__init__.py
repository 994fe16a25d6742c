"""The filters that Clara Train brought along for federated learning."""
