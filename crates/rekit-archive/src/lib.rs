//! Packs, verifies and unpacks a state tree exactly. Knows nothing of Docker.
