"""What is measured, and how; results lie beside it, each with the machine it was measured on."""
