//! Variables that a file or a builder sets for a daemon: whose values may be shown.
//!
//! Invariant: a value of which nobody knows what it is, is hidden. Shown are numbers, switches, paths, proxies without their logins,
//! and what steers docker and BuildKit.

use crate::mask::{MASK, is_plain_path};

use super::{known::hides, net};

/// Beginnings of variables that steer docker and BuildKit.
const STEERING: &[&str] = &["BUILDKIT_", "BUILDX_", "COMPOSE_", "DOCKER_"];

/// Returns what may be shown of a variable's value.
pub(super) fn shown(name: &str, value: &str) -> String {
    if hidden(name, value) {
        MASK.to_owned()
    } else {
        net::all(value)
    }
}

/// Returns whether the whole value of a variable is hidden.
pub(super) fn hidden(name: &str, value: &str) -> bool {
    if value.is_empty() || is_plain_path(value) {
        return false;
    }
    let upper = name.to_ascii_uppercase();
    let is_proxy = upper.ends_with("_PROXY") && (value.contains("://") || !value.contains('@'));
    let steers = is_proxy || STEERING.iter().any(|begin| upper.starts_with(begin));
    hides(name) || !(steers || is_measure(value))
}

/// Returns whether a value is a switch, a number, a size or a time.
fn is_measure(value: &str) -> bool {
    let is_switch = ["true", "false", "yes", "no", "on", "off"].contains(&value);
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let unit = value[digits..].trim_start_matches('.');
    let is_unit = |byte: u8| byte.is_ascii_alphabetic() || byte == b'%';
    is_switch || (1..=10).contains(&digits) && unit.len() <= 3 && unit.bytes().all(is_unit)
}
