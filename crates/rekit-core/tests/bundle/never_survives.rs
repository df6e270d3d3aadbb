//! A secret that chance makes, at a place that chance chooses, in a file that may be cut off: no part of it is in any byte of a bundle.

use proptest::prelude::*;

use super::{PLACES, bundled, planted};

/// So many characters in a row tell that something of a secret is there.
const TELLING: usize = 8;

proptest! {
    #[test]
    fn a_secret_anywhere(place in 0..PLACES.len(), secret in "[A-Za-z][A-Za-z0-9]{11,39}") {
        let content = planted(&PLACES[place], &secret);
        nothing_of(&secret, place, content.as_bytes())?;
    }

    #[test]
    fn a_secret_with_signs_in_it(place in 0..PLACES.len(), secret in "[A-Za-z][A-Za-z0-9!#$%*+.^_~-]{11,39}") {
        let content = planted(&PLACES[place], &secret);
        nothing_of(&secret, place, content.as_bytes())?;
    }

    #[test]
    fn a_secret_in_a_file_that_is_cut_off(place in 0..PLACES.len(), secret in "[A-Za-z][A-Za-z0-9]{11,39}", at in 0..1000_usize) {
        let mut content = planted(&PLACES[place], &secret).into_bytes();
        content.truncate(content.len() - content.len() * at / 1000);
        nothing_of(&secret, place, &content)?;
    }
}

fn nothing_of(secret: &str, place: usize, content: &[u8]) -> Result<(), TestCaseError> {
    for entry in bundled(PLACES[place].kind, content) {
        for at in 0..=secret.len() - TELLING {
            let part = &secret[at..at + TELLING];
            prop_assert!(
                !entry.text.contains(part),
                "{part} of {secret} in {}: {}\nbecame\n{}",
                entry.path,
                String::from_utf8_lossy(content),
                entry.text
            );
        }
    }
    Ok(())
}
