"""An exam that never was: anatomy, disease, tissue, signal, scanner."""
