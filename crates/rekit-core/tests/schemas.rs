//! The published JSON schemas are those of the types. `UPDATE_EXPECT=1 cargo test -p rekit-core --test schemas` writes them anew.

use expect_test::{ExpectFile, expect_file};
use rekit_core::{
    bundle::Contents, collection::Collections, finding::Diagnosis, front_ends::FrontEnds,
    inventory::Inventory, rehearsal::Rehearsal, symptom::Causes,
};

fn check(schema: &schemars::Schema, file: &ExpectFile) {
    file.assert_eq(&format!("{:#}\n", schema.as_value()));
}

#[test]
fn of_the_inventory() {
    check(
        &schemars::schema_for!(Inventory),
        &expect_file!["../../../docs/schemas/inventory.schema.json"],
    );
}

#[test]
fn of_the_findings() {
    check(
        &schemars::schema_for!(Diagnosis),
        &expect_file!["../../../docs/schemas/findings.schema.json"],
    );
}

#[test]
fn of_a_rehearsal() {
    check(
        &schemars::schema_for!(Rehearsal),
        &expect_file!["../../../docs/schemas/rehearsal.schema.json"],
    );
}

#[test]
fn of_the_causes() {
    check(
        &schemars::schema_for!(Causes),
        &expect_file!["../../../docs/schemas/causes.schema.json"],
    );
}

#[test]
fn of_the_collections() {
    check(
        &schemars::schema_for!(Collections),
        &expect_file!["../../../docs/schemas/collections.schema.json"],
    );
}

#[test]
fn of_a_bundles_contents() {
    check(
        &schemars::schema_for!(Contents),
        &expect_file!["../../../docs/schemas/bundle.schema.json"],
    );
}

#[test]
fn of_the_front_ends() {
    check(
        &schemars::schema_for!(FrontEnds),
        &expect_file!["../../../docs/schemas/front-ends.schema.json"],
    );
}
