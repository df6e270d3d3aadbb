//! The nouns and decisions of rekit. No I/O.
