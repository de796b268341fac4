"""The rules that the operator and the fleet server share."""
