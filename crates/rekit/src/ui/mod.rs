//! What people see: pure functions from facts to text. Data goes to stdout by the verbs that call them.
#![cfg_attr(
    not(test),
    expect(dead_code, reason = "the verbs that call it come with the next change")
)]

pub(crate) mod doctor;
pub(crate) mod inventory;
pub(crate) mod style;
