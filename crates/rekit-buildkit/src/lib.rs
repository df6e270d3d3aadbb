//! Dials engines and BuildKit daemons. Knows nothing of rekit.
mod generated;
